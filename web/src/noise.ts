/** Numbers from which models make something. */

/** Standard normal numbers from a seed (mulberry32, Box and Muller 1958). */
export function normals(count: number, seed: number): Float32Array {
  let state = (seed * 0x9e3779b1 + 1) >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  const found = new Float32Array(count);
  for (let at = 0; at < count; at += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    found[at] = radius * Math.cos(angle);
    if (at + 1 < count) found[at + 1] = radius * Math.sin(angle);
  }
  return found;
}

/** A latent within the box of the generator's prior, to which audiate's searches keep, too. */
export const inPrior = (latent: Float32Array): Float32Array =>
  latent.map((each) => Math.min(1, Math.max(-1, each)));
