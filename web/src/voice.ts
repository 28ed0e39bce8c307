/** What the models of sound make of a recording: its latent, its word, what the generator says. */

import { type Engine, output, rows, vector } from "./engine";
import type { Manifest } from "./manifest";
import { audible } from "./sound";

/** A recording, and what was found of it. */
export interface Heard {
  name: string;
  waveform: Float32Array;
  condition?: Float32Array; // the drawer's latent
  latent?: Float32Array; // the generator's
  clip?: Float32Array; // what the generator's latent stands for
  again?: Float32Array; // what the generator says for the latent
}

export class Voice {
  constructor(
    private readonly manifest: Manifest,
    private readonly engine: Engine,
  ) {}

  async load(): Promise<void> {
    await this.engine.load("encoder");
    await this.engine.load("generator");
    await this.engine.load("listener");
    await this.engine.load("scores");
  }

  /** The generator's latent of a recording, by the encoder. */
  async latentOf(heard: Heard): Promise<Float32Array> {
    if (!heard.latent) {
      const found = await this.engine.run("encoder", { waveform: vector(heard.waveform) });
      heard.latent = output(found, "latent");
      heard.clip = output(found, "clip");
    }
    return heard.latent;
  }

  /** The waveform that the generator makes of a latent. */
  async say(latent: Float32Array): Promise<Float32Array> {
    return output(await this.engine.run("generator", { latents: rows(latent, latent.length) }), "waveforms");
  }

  /** What is heard in a sound, in words. */
  async reading(waveform: Float32Array): Promise<string> {
    const word = await this.word(waveform);
    return word ? `sounds like ${word}` : "nothing to hear here";
  }

  /** The word that the classifier hears; none where there is nothing to hear. */
  async word(waveform: Float32Array): Promise<string | undefined> {
    if (!audible(waveform)) return undefined;
    const found = await this.engine.run("listener", { waveform: vector(waveform) });
    return this.manifest.words[likeliest(output(found, "logits"))[0]];
  }

  /** A function that gives the scores of `audiate compare` by name, of a sound against a clip. */
  async scores(sound: Float32Array, clip: Float32Array): Promise<(name: string) => number> {
    const found = await this.engine.run("scores", { output: vector(sound), target: vector(clip) });
    return (name) => output(found, name)[0] ?? NaN;
  }
}

/** The most likely class of logits, and its probability. */
export function likeliest(logits: Float32Array): [number, number] {
  const most = Math.max(...logits);
  const total = logits.reduce((sum, each) => sum + Math.exp(each - most), 0);
  return [logits.indexOf(most), 1 / total];
}
