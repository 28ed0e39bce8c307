/** Runs the generator: by WebGPU where that is right and faster, or else by WebAssembly. */

import { describe } from "./dom";
import { type Engine, output, rows, webGpuEngine } from "./engine";
import { inPrior, normals } from "./noise";

const ALIKE = 1e-3; // relative difference from WebAssembly's waveform that is allowed
const LONGEST = 15_000; // milliseconds after which an adapter is taken for dead

/** What the browser tells of WebGPU, as far as the page asks. */
interface Adapter {
  info?: { isFallbackAdapter?: boolean };
}
declare global {
  interface Navigator {
    gpu?: { requestAdapter(): Promise<Adapter | null> };
  }
}

export class Generator {
  private gpu: Engine | undefined; // once it has been tried

  constructor(private readonly wasm: Engine) {}

  load(): Promise<void> {
    return this.wasm.load("generator");
  }

  /** The waveform of a latent. */
  async run(latent: Float32Array): Promise<Float32Array> {
    const { gpu } = this;
    if (gpu) {
      try {
        return await soon(waveform(gpu, latent));
      } catch (error) {
        if (this.gpu) note(error);
        this.gpu = undefined;
        gpu.close();
      }
    }
    return waveform(this.wasm, latent);
  }

  /**
   * Use WebGPU from now on, if it gives what WebAssembly gives, and sooner. The other models stay
   * with WebAssembly: they find the word with 64-bit numbers, which WebGPU's build does not have.
   *
   * `anyAdapter`, for tests: take an adapter that is made of software, too, and however slow.
   *
   * Returns whether WebGPU is used.
   */
  async tryWebGpu(width: number, anyAdapter: boolean): Promise<boolean> {
    let gpu: Engine | undefined;
    try {
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter || (adapter.info?.isFallbackAdapter && !anyAdapter)) return false;
      gpu = webGpuEngine();
      await compare(gpu, this.wasm, width, anyAdapter);
      this.gpu = gpu;
    } catch (error) {
      note(error);
      gpu?.close();
    }
    return this.gpu !== undefined;
  }
}

async function waveform(engine: Engine, latent: Float32Array): Promise<Float32Array> {
  return output(await engine.run("generator", { latents: rows(latent, latent.length) }), "waveforms");
}

/** Fails where WebGPU gives another waveform than WebAssembly, or takes longer. */
async function compare(gpu: Engine, wasm: Engine, width: number, anyAdapter: boolean): Promise<void> {
  const latent = inPrior(normals(width, 0));
  await gpu.load("generator");
  await soon(waveform(gpu, latent)); // the first run also compiles for the adapter
  const [found, time] = await timed(() => soon(waveform(gpu, latent)));
  const [expected, usual] = await timed(() => waveform(wasm, latent));
  const off = difference(found, expected);
  if (!(off < ALIKE)) throw new Error(`its waveform differs by ${off.toPrecision(2)}`);
  if (time > usual && !anyAdapter) throw new Error(`it takes ${time.toFixed(0)} ms rather than ${usual.toFixed(0)}`);
}

const note = (reason: unknown): void => console.info(`WebAssembly is used, not WebGPU: ${describe(reason)}.`);

/** An answer, unless it does not come soon, as of an adapter that is gone. */
function soon<T>(answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("it does not answer")), LONGEST);
    answer.then(resolve, reject);
  });
}

/** What an action gives, and how many milliseconds it takes. */
async function timed<T>(action: () => Promise<T>): Promise<[T, number]> {
  const began = performance.now();
  const found = await action();
  return [found, performance.now() - began];
}

/** The root of the squared differences, relative to that of the expected values. */
function difference(found: Float32Array, expected: Float32Array): number {
  let [off, size] = [0, 0];
  expected.forEach((each, at) => {
    off += ((found[at] ?? NaN) - each) ** 2;
    size += each ** 2;
  });
  return Math.sqrt(off / size);
}
