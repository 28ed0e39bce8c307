/** Asks workers for what models compute: one thing at a time, and nothing that is no longer wanted. */

/** What `prepare.py` tells of the models and clips. */
export interface Manifest {
  sampleRate: number; // Hz, of every waveform on the page
  models: Record<string, string>;
  noise: number; // entries of the noise behind one drawing
  guidance: number; // of drawings, until the visitor moves the slider
  voiceNoise: number; // entries of the noise behind one voice
  voiceGuidance: number;
  words: string[];
  clips: string[];
  bytes: Record<string, number>; // of the files that are fetched, by name; the build writes them
}

export type Values = Record<string, { data: Float32Array; dims: number[] }>;
export interface Request {
  id: number;
  address: string;
  inputs?: Values;
}
export interface Answer {
  id: number;
  outputs?: Values;
  error?: string;
}
/** Bytes of a file that have come. */
export interface Progress {
  address: string;
  loaded: number;
}

/** Address of a file beside the page. */
export const asset = (name: string): string => new URL(`assets/${name}`, document.baseURI).href;

export async function loadManifest(): Promise<Manifest> {
  const answer = await fetch(asset("manifest.json"));
  if (!answer.ok) throw new Error("assets/manifest.json is missing");
  return (await answer.json()) as Manifest;
}

/** The outputs of a model by name; where it has no such output, what is given otherwise. */
export type Outputs = (name: string, otherwise?: Float32Array) => Float32Array;

/** Has a worker of its own compute. */
export class Engine {
  /** Told of bytes that have come. */
  onProgress: (progress: Progress) => void = () => undefined;
  private worker: Worker | undefined; // once there is something to do
  private readonly waiting = new Map<number, [(values: Values) => void, (error: Error) => void]>();
  private readonly loading = new Map<string, Promise<Values>>();
  private readonly ready = new Set<string>();
  private last: Promise<unknown> = Promise.resolve();
  private count = 0;

  private start(): Worker {
    const worker = new Worker(new URL("./wasm.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Answer | Progress>): void => {
      if ("loaded" in data) return this.onProgress(data);
      const [resolve, reject] = this.waiting.get(data.id) ?? [];
      this.waiting.delete(data.id);
      if (data.outputs) resolve?.(data.outputs);
      else reject?.(new Error(data.error));
    };
    worker.onerror = (event): void => {
      event.preventDefault(); // whoever waits is told, so the console need not be
      for (const [, reject] of this.waiting.values()) reject(new Error(event.message || "a worker did not load"));
      this.waiting.clear();
    };
    return worker;
  }

  /** Whether a model can compute at once. */
  has = (model: string): boolean => this.ready.has(model);

  /** Load a model; a later call tries again what failed. */
  async load(model: string): Promise<void> {
    const loading = this.loading.get(model) ?? this.ask(model);
    this.loading.set(model, loading);
    loading.catch(() => this.loading.delete(model));
    await loading;
    this.ready.add(model);
  }

  /** The outputs of a model by name. Throws the signal's reason where they are not wanted any more. */
  async run(model: string, inputs: Values, signal: AbortSignal): Promise<Outputs> {
    await this.load(model);
    const turn = this.last.then(() => {
      signal.throwIfAborted();
      return this.ask(model, inputs);
    });
    this.last = turn.catch(() => undefined);
    const found = await turn;
    signal.throwIfAborted();
    return (name, otherwise) => {
      const values = found[name]?.data ?? otherwise;
      if (!values) throw new Error(`${model} gives no ${name}`);
      return values;
    };
  }

  private ask(model: string, inputs?: Values): Promise<Values> {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, [resolve, reject]);
      this.worker ??= this.start();
      this.worker.postMessage({ id, address: asset(`${model}.onnx.gz`), inputs } satisfies Request);
    });
  }
}

export const vector = (data: Float32Array): Values[string] => ({ data, dims: [data.length] });
export const scalar = (value: number): Values[string] => ({ data: new Float32Array([value]), dims: [] });
export const rows = (data: Float32Array, width: number): Values[string] => ({
  data,
  dims: [data.length / width, width],
});

/** The most likely class of logits, and its probability. */
export function likeliest(logits: Float32Array): [number, number] {
  const most = Math.max(...logits);
  const total = logits.reduce((sum, each) => sum + Math.exp(each - most), 0);
  return [logits.indexOf(most), 1 / total];
}
