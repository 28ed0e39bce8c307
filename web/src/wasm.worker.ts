/** Runs models by onnxruntime's WebAssembly, away from the page, so that the page stays alive meanwhile. */

import * as library from "onnxruntime-web/wasm";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Answer, Progress, Request, Values } from "./engine";

const here = (path: string): string => new URL(path, self.location.href).href;
library.env.wasm.wasmPaths = { mjs: here(mjs) };
// Threads share memory, which browsers allow only to pages that their server isolates.
library.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
library.env.logLevel = "error";
let started: Promise<void> | undefined;
/** Fetch the library's own binary, once a model is asked for. */
const start = (): Promise<void> => {
  started ??= download(here(`${wasm}.gz`)).then((binary) => void (library.env.wasm.wasmBinary = binary));
  started.catch(() => (started = undefined)); // so that the next request tries it again
  return started;
};

let last: Promise<unknown> = Promise.resolve();
/** Do something once all before it is done: the library does one thing at a time. */
const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const done = last.then(work);
  last = done.catch(() => undefined);
  return done;
};

/** Weights that several models share, in a file of their own: `prepare.py` moves them there. */
const SHARED = /(encoder|generator|sayer)\.onnx\.gz$/;
let shared: Promise<Uint8Array> | undefined;

async function open(address: string): Promise<library.InferenceSession> {
  if (SHARED.test(address)) {
    shared ??= download(address.replace(SHARED, "voice.bin.gz"));
    shared.catch(() => (shared = undefined));
  }
  const [model] = await Promise.all([download(address), start()]);
  const externalData = SHARED.test(address) && shared ? [{ path: "voice.bin", data: await shared }] : [];
  const options = { executionProviders: ["wasm"], graphOptimizationLevel: "extended", externalData } as const;
  return inTurn(() => library.InferenceSession.create(model, options));
}

async function run(session: library.InferenceSession, inputs: Values): Promise<Values> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, dims }]) => [name, new library.Tensor("float32", data, dims)]),
  );
  const found = Object.entries(await session.run(feeds));
  return Object.fromEntries(
    found.map(([name, tensor]) => [name, { data: tensor.data as Float32Array, dims: [...tensor.dims] }]),
  );
}

/** Fetch a file that is compressed by gzip, whether the server says so or not, and tell how much has come. */
async function download(address: string): Promise<Uint8Array<ArrayBuffer>> {
  const answer = await fetch(address);
  if (!answer.ok || !answer.body) throw new Error(`${address}: not found`);
  let loaded = 0;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, out): void {
      loaded += chunk.length;
      self.postMessage({ address, loaded } satisfies Progress);
      out.enqueue(chunk);
    },
  });
  const bytes = new Uint8Array(await new Response(answer.body.pipeThrough(count)).arrayBuffer());
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(unpacked).arrayBuffer());
}

const sessions = new Map<string, Promise<library.InferenceSession>>();
/** The outputs for one request; a request without inputs only loads the model. */
async function answer({ address, inputs }: Request): Promise<Values> {
  const opening = sessions.get(address) ?? open(address);
  sessions.set(address, opening);
  opening.catch(() => sessions.delete(address)); // so that the next request tries it again
  const session = await opening;
  return inputs ? inTurn(() => run(session, inputs)) : {};
}

self.onmessage = ({ data }: MessageEvent<Request>): void => {
  const post = (message: Answer): void => self.postMessage(message);
  answer(data).then(
    (outputs) => post({ id: data.id, outputs }),
    (error: unknown) => post({ id: data.id, error: error instanceof Error ? error.message : String(error) }),
  );
};
