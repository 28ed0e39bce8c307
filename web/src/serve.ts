/** Runs models in a worker, away from the page, so that it stays alive meanwhile. */

import type * as Onnx from "onnxruntime-web";
import type { Answer, Request, Values } from "./engine";

type Library = Pick<typeof Onnx, "InferenceSession" | "Tensor" | "env">;

/** Answer what the page asks this worker, by a library whose own two files are at these addresses. */
export function serve(library: Library, files: { mjs: string; wasm: string }, provider: "wasm"): void {
  const here = (path: string): string => new URL(path, self.location.href).href;
  library.env.wasm.wasmPaths = { mjs: here(files.mjs), wasm: here(files.wasm) };
  // Threads share memory, which browsers allow only to pages that their server isolates.
  library.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  library.env.logLevel = "error";

  let last: Promise<unknown> = Promise.resolve();
  /** Do something once all before it is done: the library does one thing at a time. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work);
    last = done.catch(() => undefined);
    return done;
  };

  const open = async (address: string): Promise<Onnx.InferenceSession> => {
    const model = await download(address);
    const options = { executionProviders: [provider], graphOptimizationLevel: "extended" } as const;
    return inTurn(() => library.InferenceSession.create(model, options));
  };

  const run = async (session: Onnx.InferenceSession, inputs: Values): Promise<Values> => {
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
  };

  const sessions = new Map<string, Promise<Onnx.InferenceSession>>();
  /** The outputs for one request; a request without inputs only loads the model. */
  const answer = async ({ address, inputs }: Request): Promise<Values> => {
    const opening = sessions.get(address) ?? open(address);
    sessions.set(address, opening);
    opening.catch(() => sessions.delete(address)); // so that the next request tries it again
    const session = await opening;
    return inputs ? inTurn(() => run(session, inputs)) : {};
  };

  self.onmessage = ({ data }: MessageEvent<Request>): void => {
    const post = (message: Answer): void => self.postMessage(message);
    answer(data).then(
      (outputs) => post({ id: data.id, outputs }),
      (error: unknown) => post({ id: data.id, error: error instanceof Error ? error.message : String(error) }),
    );
  };
}

async function download(address: string): Promise<Uint8Array> {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: not found`);
  return new Uint8Array(await answer.arrayBuffer());
}
