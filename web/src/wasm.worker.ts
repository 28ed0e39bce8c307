/** Runs models by WebAssembly. */

import * as library from "onnxruntime-web/wasm";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { serve } from "./serve";

serve(library, { mjs, wasm }, "wasm");
