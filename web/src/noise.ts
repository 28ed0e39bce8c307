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

/**
 * A latent on the way from one to another. Its length goes from one's to the other's: straight lines
 * between normal numbers lead through unusually small ones (Shoemake 1985).
 */
export function between(from: Float32Array, to: Float32Array, share: number): Float32Array {
  const inner = (a: Float32Array, b: Float32Array): number => a.reduce((sum, each, at) => sum + each * (b[at] ?? 0), 0);
  const [first, last] = [Math.sqrt(inner(from, from)), Math.sqrt(inner(to, to))];
  const angle = Math.acos(Math.min(1, Math.max(-1, inner(from, to) / (first * last || 1))));
  const length = first + share * (last - first);
  const part = (share: number): number => (angle < 1e-4 ? share : Math.sin(share * angle) / Math.sin(angle));
  const [a, b] = [(length * part(1 - share)) / (first || 1), (length * part(share)) / (last || 1)];
  return from.map((each, at) => a * each + b * (to[at] ?? 0));
}
