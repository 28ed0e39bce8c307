/** Records one word from the microphone, and ends by itself when the word is over. */

import workletUrl from "./recorder.worklet.ts?worker&url";
import { BadSound, resample } from "./sound";

const LONGEST = 10; // seconds
const PAUSE = 0.5; // seconds of quiet after which a word is over
const WAIT = 2000; // milliseconds within which the microphone has to give sound
const FRAME = 0.02; // seconds
const BEFORE = 0.25; // seconds before a word that are kept, and of quiet that part it from what was before
const VOICED = 4; // frames with a pitch that make a word
const ABOVE = 10; // dB above the noise of the room
const FAINT = -62; // dB of full scale below which nothing is heard

export interface Recording {
  /** The waveform at the sample rate that was asked for. It ends when the word is over. */
  waveform: Promise<Float32Array>;
  /** End it now. */
  stop: () => void;
}

/** Open the microphone; `onLevel` is told the level, 0 to 1. */
export async function record(sampleRate: number, onLevel: (level: number) => void): Promise<Recording> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new BadSound("This page has no microphone here. Open it by https or on localhost, or open a sound file.");
  }
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error: unknown) => {
    const denied = error instanceof DOMException && error.name === "NotAllowedError";
    throw new BadSound(
      denied
        ? "The microphone is blocked. Allow it in the browser's settings, or open a sound file."
        : "No microphone was found. Connect one, or open a sound file.",
    );
  });
  const context = new AudioContext();
  const close = (): void => {
    for (const track of stream.getTracks()) track.stop();
    void context.close();
  };
  try {
    return await listen(context, stream, sampleRate, onLevel, close);
  } catch (error) {
    close();
    throw error;
  }
}

async function listen(
  context: AudioContext,
  stream: MediaStream,
  sampleRate: number,
  onLevel: (level: number) => void,
  close: () => void,
): Promise<Recording> {
  if (!context.audioWorklet) throw new BadSound("This browser cannot record here. Open the page by https or on localhost, or open a sound file.");
  await context.audioWorklet.addModule(workletUrl);
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const detector = new WordDetector(context.sampleRate, onLevel);
  const blocks: Float32Array[] = [];
  let stop = (): void => undefined;
  const ended = new Promise<void>((resolve) => (stop = resolve));
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>): void => {
    begin();
    blocks.push(data);
    if (detector.take(data)) stop();
  };
  for (const track of stream.getTracks()) track.onended = stop; // it was unplugged
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(node);
  void context.resume();
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new BadSound("The browser gives no sound. Click the button once more, or open a sound file.")), WAIT);
  });
  await Promise.race([begun, late]);
  const waveform = ended.then(async () => {
    node.port.onmessage = null;
    close();
    onLevel(0);
    const whole = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of blocks) {
      whole.set(block, at);
      at += block.length;
    }
    return resample(whole.subarray(detector.begin), context.sampleRate, sampleRate);
  });
  return { waveform, stop };
}

/**
 * Takes block after block, and tells when a word has been said and is over. A word has a vowel, hence
 * frames with a pitch: noise and knocks do not count as one, and are cut off where quiet parts them from it.
 */
class WordDetector {
  /** The sample with which the recording is to begin. */
  begin = 0;
  private readonly size: number; // samples of a frame
  private readonly frame: Float32Array;
  private filled = 0;
  private frames = 0;
  private readonly recent: number[] = []; // dB of frames of the last two seconds
  private voiced = 0;
  private loudAt: number | undefined; // frame

  constructor(
    private readonly sampleRate: number,
    private readonly onLevel: (level: number) => void,
  ) {
    this.size = Math.round(FRAME * sampleRate);
    this.frame = new Float32Array(2 * this.size); // two frames, so that low pitches fit
  }

  take(block: Float32Array): boolean {
    for (const sample of block) {
      this.frame[this.size + this.filled++] = sample;
      if (this.filled < this.size) continue;
      this.filled = 0;
      const over = this.judge();
      this.frame.copyWithin(0, this.size);
      if (over) return true;
    }
    return false;
  }

  private judge(): boolean {
    const power = this.frame.subarray(this.size).reduce((sum, each) => sum + each * each, 0) / this.size;
    const level = 10 * Math.log10(power + 1e-12);
    this.onLevel(Math.min(1, Math.max(0, (level - FAINT) / -FAINT) ** 1.2));
    const now = this.frames++;
    if (level > -100) this.recent.push(level); // sound cards begin with zeros
    if (this.recent.length > 2 / FRAME) this.recent.shift();
    const noise = Math.min(...this.recent, now < 0.3 / FRAME ? -50 : 0);
    if (level > Math.max(FAINT, noise + ABOVE)) {
      const quiet = this.loudAt === undefined || now - this.loudAt > BEFORE / FRAME;
      if (quiet && this.voiced < VOICED) {
        this.begin = Math.max(0, Math.round((now - BEFORE / FRAME) * this.size));
        this.voiced = 0;
      }
      this.loudAt = now;
      if (this.pitched()) this.voiced++;
    }
    const over = this.voiced >= VOICED && now - (this.loudAt ?? now) > PAUSE / FRAME;
    return over || now * FRAME > LONGEST;
  }

  /** Whether the last two frames repeat themselves 70 to 400 times a second. */
  private pitched(): boolean {
    const step = Math.max(1, Math.floor(this.sampleRate / 8000));
    const few = this.frame.filter((_, at) => at % step === 0);
    const rate = this.sampleRate / step;
    const half = few.length / 2;
    for (let lag = Math.floor(rate / 400); lag < Math.min(half, rate / 70); lag++) {
      let [both, first, second] = [0, 1e-12, 1e-12];
      for (let at = 0; at + lag < few.length; at++) {
        const [a, b] = [few[at] as number, few[at + lag] as number];
        both += a * b;
        first += a * a;
        second += b * b;
      }
      if (both > 0.6 * Math.sqrt(first * second)) return true;
    }
    return false;
  }
}
