/** Runs the models away from the page, so that it stays alive meanwhile. */

import * as library from "onnxruntime-web/wasm";
import moduleUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import binaryUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Answer, Request, Values } from "./engine";

const here = (path: string): string => new URL(path, self.location.href).href;

library.env.wasm.wasmPaths = { mjs: here(moduleUrl), wasm: here(binaryUrl) };
// Threads share memory, which browsers allow only to pages that their server isolates.
library.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
library.env.logLevel = "error";

const sessions = new Map<string, Promise<library.InferenceSession>>();

async function open(address: string): Promise<library.InferenceSession> {
  return library.InferenceSession.create(await download(address), { executionProviders: ["wasm"], graphOptimizationLevel: "extended" });
}

async function download(address: string): Promise<Uint8Array> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: not found`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function run(session: library.InferenceSession, inputs: Values): Promise<Values> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dims }]) => [name, new library.Tensor("float32", data, dims)]),
  );
  const found = await session.run(feeds);
  return Object.fromEntries(
    Object.entries(found).map(([name, tensor]) => [
      name,
      { data: tensor.data as Float32Array, dims: [...tensor.dims] },
    ]),
  );
}

let last: Promise<unknown> = Promise.resolve(); // one run at a time

/** The outputs for one request; a request without inputs only loads the model. */
async function answer({ address, inputs }: Request): Promise<Values> {
  if (!sessions.has(address)) sessions.set(address, open(address));
  const session = await (sessions.get(address) as Promise<library.InferenceSession>);
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
