/** Hands the microphone's samples to the page, block by block. */

declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: unknown): void;

class Recorder extends AudioWorkletProcessor {
  process(inputs: Float32Array[][]): boolean {
    const block = inputs[0]?.[0];
    if (block) this.port.postMessage(block.slice());
    return true;
  }
}

registerProcessor("recorder", Recorder);
