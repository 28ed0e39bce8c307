/** What `prepare.py` tells of the models and clips. */
export interface Manifest {
  sampleRate: number; // Hz, of every waveform on the page
  models: Record<string, string>;
  noise: number; // entries of the noise behind one drawing
  guidance: number;
  latent: number; // entries of the generator's latent
  samples: number; // of the generator's sounds
  words: string[];
  clips: string[];
  map: [number[], number[]];
}

/** Address of a file that `prepare.py` wrote, relative to the page. */
export const asset = (name: string): string => new URL(`assets/${name}`, document.baseURI).href;

export async function loadManifest(): Promise<Manifest> {
  const answer = await fetch(asset("manifest.json"));
  if (!answer.ok) throw new Error("the page's files are incomplete: assets/manifest.json is missing");
  return (await answer.json()) as Manifest;
}
