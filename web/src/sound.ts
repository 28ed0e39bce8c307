/** Sound files and recordings, checked and brought to one mono waveform. */

/** What is wrong with a sound, in one sentence for the visitor. */
export class BadSound extends Error {}

const LONGEST = 60; // seconds
const SHORTEST = 0.05;
const SILENCE = 1e-4; // largest distance from the mean, of full scale
const INAUDIBLE = 10 ** (-50 / 10); // mean power of full scale
const LEAST_CONTRAST = 5; // dB by which a word is to be above the quietest tenth

/** Decode a file of any format that the browser knows, at a sample rate in Hz. */
export async function decode(file: Blob, name: string, sampleRate: number): Promise<Float32Array> {
  if (file.size > 200e6) throw new BadSound(`${name} is larger than 200 MB. Cut out the word that you mean.`);
  if (file.type.startsWith("image/")) throw new BadSound(`${name} is a picture, not a sound. Choose “Write a digit” to have a digit said.`);
  const context = new OfflineAudioContext(1, 1, sampleRate);
  let decoded: AudioBuffer;
  try {
    decoded = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new BadSound(`This browser cannot read ${name}. Convert it to mp3, flac, or a wav of 16 bits.`);
  }
  return mono(Array.from({ length: decoded.numberOfChannels }, (_, i) => decoded.getChannelData(i)));
}

/** Bring a recording to another sample rate, in Hz. */
export async function resample(samples: Float32Array, from: number, to: number): Promise<Float32Array> {
  if (from === to) return samples;
  const context = new OfflineAudioContext(1, Math.max(1, Math.round((samples.length * to) / from)), to);
  const buffer = context.createBuffer(1, samples.length, from);
  buffer.copyToChannel(samples as Float32Array<ArrayBuffer>, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.start();
  return (await context.startRendering()).getChannelData(0);
}

/** Refuse what holds no word. */
export function check(samples: Float32Array, sampleRate: number, name: string): void {
  const seconds = samples.length / sampleRate;
  if (seconds > LONGEST) {
    const long = seconds < 120 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
    throw new BadSound(`${name} lasts ${long}, over ${LONGEST} s. Cut out the word that you mean.`);
  }
  if (seconds < SHORTEST) throw new BadSound(`${name} is too short to hold a word.`);
  const mean = samples.reduce((sum, each) => sum + each, 0) / samples.length;
  if (!Number.isFinite(mean)) throw new BadSound(`${name} has samples that are no numbers. Save it again.`);
  const centred = samples.map((each) => each - mean);
  if (centred.every((each) => Math.abs(each) < SILENCE)) {
    throw new BadSound(`${name} is silent. Record it again, closer to the microphone.`);
  }
  if (contrast(centred, sampleRate) < LEAST_CONTRAST) {
    throw new BadSound(`No word stands out in ${name}. Record it again with less noise.`);
  }
}

/** Whether people would hear anything of a sound: whether its mean power reaches -50 dB of full scale. */
export const audible = (samples: Float32Array): boolean =>
  samples.reduce((sum, each) => sum + each * each, 0) > samples.length * INAUDIBLE;

/** Decibels between the loudest 25 ms and the quietest tenth of them. */
function contrast(samples: Float32Array, sampleRate: number): number {
  const size = Math.round(0.025 * sampleRate);
  const levels: number[] = [];
  for (let begin = 0; begin + size <= samples.length; begin += size) {
    let power = 1e-12;
    for (let at = begin; at < begin + size; at++) power += (samples[at] ?? 0) ** 2;
    levels.push(10 * Math.log10(power));
  }
  levels.sort((a, b) => a - b);
  if (levels.length < 2) return Infinity;
  return (levels.at(-1) ?? 0) - (levels[Math.floor(levels.length / 10)] ?? 0);
}

/** The mean of channels; the loudest one where they cancel out. At most 1 in magnitude. */
function mono(channels: Float32Array[]): Float32Array {
  const first = channels[0] ?? new Float32Array();
  let mixed = first;
  if (channels.length > 1) {
    mixed = first.map((_, at) => channels.reduce((sum, each) => sum + (each[at] ?? 0), 0) / channels.length);
    const power = (each: Float32Array): number => each.reduce((sum, value) => sum + value * value, 0);
    const loudest = channels.reduce((best, each) => (power(each) > power(best) ? each : best));
    if (peak(mixed) < 1e-3 * peak(loudest)) mixed = loudest;
  }
  const most = peak(mixed);
  return most > 1 ? mixed.map((each) => each / most) : mixed;
}

const peak = (samples: Float32Array): number =>
  samples.reduce((most, each) => Math.max(most, Math.abs(each)), 0);

let context: AudioContext | undefined;
let playing: { source: AudioBufferSourceNode; began: number; samples: Float32Array } | undefined;
let asked = 0;

/** Whether browsers let this page play: some do not before the visitor has done something. */
export const mayPlay = (): boolean => (context ??= new AudioContext()).state === "running";

/**
 * Returns a function that plays a sound in place of what is playing, unless another was asked for
 * meanwhile. Call this when the visitor asks, even if the sound has to be made first: only then do
 * browsers let a page play.
 */
export function player(sampleRate: number): (samples: Float32Array) => void {
  const own = ++asked;
  const speaker = (context ??= new AudioContext());
  void speaker.resume();
  return (samples) => {
    if (own !== asked) return;
    playing?.source.stop();
    const buffer = speaker.createBuffer(1, samples.length, sampleRate);
    buffer.copyToChannel(samples as Float32Array<ArrayBuffer>, 0);
    const source = new AudioBufferSourceNode(speaker, { buffer });
    source.connect(speaker.destination);
    source.start();
    playing = { source, began: speaker.currentTime, samples };
  };
}

/** Stop what is playing, and what was to be played. */
export function quiet(): void {
  asked++;
  playing?.source.stop();
  playing = undefined;
}

/** How much of a sound has been played, 0 to 1; nothing where it is not playing. */
export function played(samples: Float32Array): number | undefined {
  if (!context || playing?.samples !== samples) return undefined;
  const share = (context.currentTime - playing.began) / (playing.source.buffer?.duration ?? 1);
  return share < 1 ? share : undefined;
}
