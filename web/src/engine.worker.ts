/** Runs the models away from the page, so that it stays alive meanwhile. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import type * as Runtime from "onnxruntime-web";
import gpuModule from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import gpuBinary from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import cpuModule from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import cpuBinary from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Answer, Request, Values } from "./engine";

let runtime: Promise<typeof Runtime> | undefined;
let gpu = false;
const sessions = new Map<string, Promise<InferenceSession>>();

/** Load the library: the build with WebGPU where there is an adapter, else the smaller one. */
async function load(): Promise<typeof Runtime> {
  const adapter = await (navigator as { gpu?: { requestAdapter(): Promise<unknown> } }).gpu
    ?.requestAdapter()
    .catch(() => null);
  gpu = Boolean(adapter);
  const library = gpu ? await import("onnxruntime-web/webgpu") : await import("onnxruntime-web/wasm");
  library.env.wasm.wasmPaths = gpu
    ? { mjs: here(gpuModule), wasm: here(gpuBinary) }
    : { mjs: here(cpuModule), wasm: here(cpuBinary) };
  library.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  library.env.logLevel = "error";
  return library as unknown as typeof Runtime;
}

const here = (path: string): string => new URL(path, self.location.href).href;

async function open(address: string): Promise<InferenceSession> {
  runtime ??= load();
  const [library, bytes] = await Promise.all([runtime, download(address)]);
  if (gpu) {
    try {
      return await library.InferenceSession.create(bytes, { executionProviders: ["webgpu", "wasm"] });
    } catch {
      gpu = false; // what one adapter cannot do, the processor can
    }
  }
  return library.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
}

async function download(address: string): Promise<Uint8Array> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: not found`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function run(session: InferenceSession, inputs: Values): Promise<Values> {
  const library = await (runtime as Promise<typeof Runtime>);
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dims }]) => [name, new library.Tensor("float32", data, dims)]),
  );
  const found = await session.run(feeds);
  return Object.fromEntries(
    Object.entries(found).map(([name, tensor]) => [
      name,
      { data: (tensor as Tensor).data as Float32Array, dims: [...(tensor as Tensor).dims] },
    ]),
  );
}

let last: Promise<unknown> = Promise.resolve(); // one run at a time

/** The outputs for one request; a request without inputs only loads the model. */
async function answer({ address, inputs }: Request): Promise<Values> {
  if (!sessions.has(address)) sessions.set(address, open(address));
  const session = await (sessions.get(address) as Promise<InferenceSession>);
  if (!inputs) return {};
  const work = last.then(() => run(session, inputs));
  last = work.catch(() => undefined);
  return work;
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  const post = (message: Answer): void => self.postMessage(message);
  answer(data).then(
    (outputs) => post({ id: data.id, outputs }),
    (error: unknown) => post({ id: data.id, error: error instanceof Error ? error.message : String(error) }),
  );
};
