/** A place among latents, which the visitor moves: it is seen, heard and read while it moves. */

import { canvas, find, latest, on } from "./dom";
import { drawWaveform, wipe } from "./pictures";
import { player } from "./sound";
import { Turns } from "./turns";
import type { Voice } from "./voice";

export class Place {
  /** Go to where the sliders are; while one place is on its way, only the latest move waits. */
  readonly go: () => void;
  private readonly turns: Turns;
  private shown: { where: string; waveform: Float32Array } | undefined;

  /**
   * `id` is that of the canvas. `where` names the place at which the sliders are, and `latent` gives
   * its latent. Requests `above` supersede moves.
   */
  constructor(
    private readonly id: "walked" | "mapped",
    private readonly voice: Voice,
    private readonly sampleRate: number,
    private readonly where: () => string,
    private readonly latent: () => Promise<Float32Array>,
    above?: Turns,
  ) {
    this.turns = new Turns(above);
    this.go = latest(() => this.move());
    on(`play-${id}`, () => {
      if (this.shown?.where === where()) player(sampleRate)(this.shown.waveform);
      else this.go();
    });
  }

  /** Show no place, and forget moves that are on their way. */
  leave(): void {
    this.turns.take();
    this.shown = undefined;
    wipe(canvas(this.id));
    find(`${this.id}-word`).textContent = "";
  }

  private async move(): Promise<void> {
    const counts = this.turns.take();
    const play = player(this.sampleRate);
    const where = this.where();
    const waveform = await this.voice.say(await this.latent());
    if (!counts()) return;
    this.shown = { where, waveform };
    drawWaveform(canvas(this.id), waveform);
    play(waveform);
    const still = (): boolean => counts() && where === this.where();
    const reading = still() ? await this.voice.reading(waveform) : "";
    if (still()) find(`${this.id}-word`).textContent = reading;
  }
}
