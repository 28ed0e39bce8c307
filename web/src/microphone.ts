/** Records one word from the microphone, and ends by itself when the word is over. */

import workletUrl from "./recorder.worklet.ts?worker&url";
import { BadSound, resample } from "./sound";

const LONGEST = 10; // seconds
const PAUSE = 0.5; // seconds of quiet after which a word is over
const LEAST = 0.01; // root mean square above which something is said
const ABOVE_NOISE = 4; // times the quietest block so far

export interface Recording {
  /** The waveform at the sample rate that was asked for. It ends when the word is over. */
  waveform: Promise<Float32Array>;
  /** End it now. */
  stop: () => void;
}

/** Open the microphone; `onLevel` is told the level, 0 to 1. */
export async function record(sampleRate: number, onLevel: (level: number) => void): Promise<Recording> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new BadSound("This browser offers no microphone to this page; open a sound file instead.");
  }
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    const denied = error instanceof DOMException && error.name === "NotAllowedError";
    throw new BadSound(
      denied
        ? "The microphone was denied; allow it in the browser's settings, or open a sound file."
        : "No microphone was found; connect one, or open a sound file.",
    );
  }
  const context = new AudioContext();
  const close = (): void => {
    for (const track of stream.getTracks()) track.stop();
    void context.close();
  };
  await context.audioWorklet.addModule(workletUrl).catch((error: unknown) => {
    close();
    throw error;
  });
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const blocks: Float32Array[] = [];
  let stop = (): void => undefined;
  const ended = new Promise<void>((resolve) => (stop = resolve));
  const end = endOfWord(context.sampleRate, onLevel);
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>): void => {
    blocks.push(data);
    if (end(data)) stop();
  };
  for (const track of stream.getTracks()) track.onended = stop; // it was unplugged
  source.connect(node);
  const waveform = ended.then(async () => {
    node.port.onmessage = null;
    const rate = context.sampleRate;
    close();
    onLevel(0);
    const whole = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of blocks) {
      whole.set(block, at);
      at += block.length;
    }
    return resample(whole, rate, sampleRate);
  });
  return { waveform, stop };
}

/** A function that takes block after block and tells when a word has been said, and is over. */
function endOfWord(sampleRate: number, onLevel: (level: number) => void): (block: Float32Array) => boolean {
  let time = 0;
  let quietest = Infinity;
  let saidAt: number | undefined;
  let smooth = 0;
  return (block) => {
    time += block.length / sampleRate;
    const power = block.reduce((sum, each) => sum + each * each, 0) / block.length;
    smooth = 0.9 * smooth + 0.1 * Math.sqrt(power);
    onLevel(Math.min(1, 4 * smooth));
    if (time > 0.1) quietest = Math.min(quietest, smooth);
    if (smooth > Math.max(LEAST, ABOVE_NOISE * quietest)) saidAt = time;
    return time > LONGEST || (saidAt !== undefined && time - saidAt > PAUSE);
  };
}
