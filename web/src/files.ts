/** Files that the page gives to be saved, made from arrays: wav, npy, png. */

const ascii = (word: string): number[] => [...word].map((letter) => letter.charCodeAt(0));

/** A wav of 32-bit floats, mono: what is saved is, to the bit, what the models heard. */
export function wav(samples: Float32Array, sampleRate: number): Blob {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, word: string): void => ascii(word).forEach((code, i) => header.setUint8(at + i, code));
  const bytes = samples.length * 4;
  text(0, "RIFF");
  header.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 3, true); // floats
  header.setUint16(22, 1, true);
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, sampleRate * 4, true);
  header.setUint16(32, 4, true);
  header.setUint16(34, 32, true);
  text(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header.buffer, samples.slice().buffer], { type: "audio/wav" });
}

/** An array of one row (1, n) of float32 in NumPy's format. */
export function npy(row: Float32Array): Blob {
  const shape = `{'descr': '<f4', 'fortran_order': False, 'shape': (1, ${row.length}), }`;
  const padded = shape.padEnd(Math.ceil((shape.length + 11) / 64) * 64 - 11) + "\n";
  const head = new Uint8Array(10 + padded.length);
  head.set([0x93, ...ascii("NUMPY"), 1, 0]);
  new DataView(head.buffer).setUint16(8, padded.length, true);
  head.set(ascii(padded), 10);
  return new Blob([head, row.slice().buffer], { type: "application/octet-stream" });
}

/**
 * Images (count, size, size) in [0, 1] side by side, four times as large, as a grey png. No canvas takes
 * part: browsers that resist fingerprinting give wrong pixels of canvases.
 */
export async function png(images: Float32Array, size: number, zoom = 4): Promise<Blob> {
  const width = (images.length / size) * zoom;
  const height = size * zoom;
  const lines = new Uint8Array(height * (width + 1)); // each begins with 0: no filter
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [row, column] = [Math.floor(y / zoom), Math.floor(x / zoom)];
      const at = Math.floor(column / size) * size * size + row * size + (column % size);
      lines[y * (width + 1) + 1 + x] = Math.round(255 * (images[at] ?? 0));
    }
  }
  const packed = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits of a grey pixel
  const parts = [
    new Uint8Array([0x89, ...ascii("PNG\r\n\x1a\n")]),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", new Uint8Array(await new Response(packed).arrayBuffer())),
    chunk("IEND", new Uint8Array()),
  ];
  return new Blob(parts, { type: "image/png" });
}

/** A part of a png: length, name, content, and the check sum of the last two. */
function chunk(name: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(12 + content.length);
  const view = new DataView(whole.buffer);
  view.setUint32(0, content.length);
  whole.set(ascii(name), 4);
  whole.set(content, 8);
  let sum = 0xffffffff;
  for (const byte of whole.subarray(4, -4)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  view.setUint32(8 + content.length, ~sum);
  return whole;
}

/** Have the browser save a file. */
export function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
