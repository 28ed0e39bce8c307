/** Asks workers for what models compute. */

import { asset } from "./manifest";

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

/** Has a worker of its own compute. */
export class Engine {
  private readonly waiting = new Map<number, [(values: Values) => void, (error: Error) => void]>();
  private count = 0;

  constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Answer>): void => {
      const [resolve, reject] = this.waiting.get(data.id) ?? [];
      this.waiting.delete(data.id);
      if (data.outputs) resolve?.(data.outputs);
      else reject?.(new Error(data.error ?? "unknown"));
    };
    worker.onerror = (event): void => {
      event.preventDefault(); // whoever waits is told, so the console need not be
      this.fail(event.message || "the worker cannot be loaded");
    };
  }

  /** Load a model, so that it is there when it is asked for. */
  async load(model: string): Promise<void> {
    await this.ask({ address: asset(`${model}.onnx`) });
  }

  /** The outputs of a model, by name. */
  run(model: string, inputs: Values): Promise<Values> {
    return this.ask({ address: asset(`${model}.onnx`), inputs });
  }

  private ask(request: Omit<Request, "id">): Promise<Values> {
    const id = this.count++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, [resolve, reject]);
      this.worker.postMessage({ id, ...request });
    });
  }

  private fail(reason: string): void {
    for (const [, reject] of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }
}

export const wasmEngine = (): Engine =>
  new Engine(new Worker(new URL("./wasm.worker.ts", import.meta.url), { type: "module" }));

export const vector = (data: Float32Array): Values[string] => ({ data, dims: [data.length] });
export const rows = (data: Float32Array, width: number): Values[string] => ({
  data,
  dims: [data.length / width, width],
});
export const scalar = (value: number): Values[string] => ({ data: new Float32Array([value]), dims: [] });

/** An output by its name. */
export function output(values: Values, name: string): Float32Array {
  const found = values[name];
  if (!found) throw new Error(`the model gives no ${name}`);
  return found.data;
}
