/** Runs models by WebGPU. The page starts this worker only where there is an adapter for it. */

import * as library from "onnxruntime-web/webgpu";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url";
import { serve } from "./serve";

serve(library, { mjs, wasm }, "webgpu");
