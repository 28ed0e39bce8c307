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
/** Compile the library's own binary while it comes, once a model is asked for. */
const start = (): Promise<void> => {
  started ??= compile();
  started.catch(() => (started = undefined)); // so that the next request tries it again
  return started;
};

const instantiate = WebAssembly.instantiate.bind(WebAssembly) as (module: WebAssembly.Module, imports?: WebAssembly.Imports) => Promise<WebAssembly.Instance>;
async function compile(): Promise<void> {
  const headers = { "Content-Type": "application/wasm" };
  const module = await WebAssembly.compileStreaming(new Response(await unpack(here(`${wasm}.gz`)), { headers }));
  library.env.wasm.wasmBinary = new ArrayBuffer(0); // the library would compile it, and gets what is compiled
  const given = async (_: unknown, imports?: WebAssembly.Imports): Promise<unknown> => ({ module, instance: await instantiate(module, imports) });
  WebAssembly.instantiate = given as typeof WebAssembly.instantiate;
}

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
  // Graphs are simple already; but voices unpack their weights once, when loaded, and not for each sound.
  const graphOptimizationLevel = SHARED.test(address) ? "basic" : "disabled";
  const options = { executionProviders: ["wasm"], graphOptimizationLevel, externalData } as const;
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

/** What a file holds that is compressed by gzip, whether the server says so or not, as it comes; tells how much has. */
async function unpack(address: string): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const answer = await fetch(address);
  if (!answer.ok || !answer.body) throw new Error(`${address}: not found`);
  const reader = answer.body.getReader();
  let loaded = 0;
  const next = async (): Promise<Uint8Array<ArrayBuffer> | undefined> => {
    const { value } = await reader.read();
    loaded += value?.length ?? 0;
    if (value) self.postMessage({ address, loaded } satisfies Progress);
    return value;
  };
  let chunk = await next();
  const packed = chunk?.[0] === 0x1f && chunk[1] === 0x8b;
  const whole = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(out): Promise<void> {
      if (chunk) out.enqueue(chunk);
      else out.close();
      chunk = chunk && (await next());
    },
  });
  return packed ? whole.pipeThrough(new DecompressionStream("gzip")) : whole;
}

const download = async (address: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await new Response(await unpack(address)).arrayBuffer());

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
