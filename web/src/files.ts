/** Files that the page gives to be saved: wav, npy, png. */

/** A wav of 32-bit floats, mono: what is saved is, to the bit, what the models heard. */
export function wav(samples: Float32Array, sampleRate: number): Blob {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, word: string): void =>
    [...word].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
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
  head.set([0x93, ...[..."NUMPY"].map((letter) => letter.charCodeAt(0)), 1, 0]);
  new DataView(head.buffer).setUint16(8, padded.length, true);
  head.set(new TextEncoder().encode(padded), 10);
  return new Blob([head, row.slice().buffer], { type: "application/octet-stream" });
}

/** Have the browser save a file. */
export function save(content: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
