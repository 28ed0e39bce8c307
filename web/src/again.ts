/** The section that says a recording again: before and after, with scores. */

import { canvas, find, on, tell } from "./dom";
import { npy, save, wav } from "./files";
import { drawWaveform } from "./pictures";
import { player } from "./sound";
import { Turns } from "./turns";
import type { Heard, Voice } from "./voice";

export class Again {
  private readonly turns: Turns;
  private current: Heard | undefined;

  constructor(
    private readonly sampleRate: number,
    private readonly voice: Voice,
    recordings: Turns,
  ) {
    this.turns = new Turns(recordings);
    const play = (sound?: Float32Array): void => {
      if (sound) player(sampleRate)(sound);
    };
    on("say", () => this.say());
    on("play-before", () => play(this.current?.clip));
    on("play-after", () => play(this.current?.again));
    on("save-after", () => {
      const { again, name } = this.current ?? {};
      if (again) save(wav(again, sampleRate), `${name}-again.wav`);
    });
    on("save-latent", () => {
      const { latent, name } = this.current ?? {};
      if (latent) save(npy(latent), `${name}.npy`);
    });
  }

  /** Take another recording as the one that is said again. */
  take(heard: Heard): void {
    this.current = heard;
    find("said").hidden = true;
  }

  private async say(): Promise<void> {
    const heard = this.current;
    if (!heard) return;
    const counts = this.turns.take();
    const play = player(this.sampleRate);
    const began = performance.now();
    if (!document.body.dataset["complete"]) tell("It will be said again once the models for that are loaded.");
    heard.again = await this.voice.say(await this.voice.latentOf(heard));
    if (!counts()) return;
    const [before, after] = [heard.clip ?? heard.waveform, heard.again];
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    find("said").hidden = false;
    drawWaveform(canvas("before"), before);
    drawWaveform(canvas("after"), after);
    play(after);
    document.body.dataset["saidIn"] = seconds;
    tell(`Said again in ${seconds} s.`);
    const score = await this.voice.scores(after, before);
    const words = [await this.voice.word(before), await this.voice.word(after)].map((word) => word ?? "nothing");
    if (!counts()) return;
    this.show([
      ["Mean squared error of samples", score("mse").toFixed(5), "0"],
      ["Structural similarity (SSIM) of spectrograms", score("ssim").toFixed(4), "1"],
      ["Log-spectral distance", `${score("log_spectral_distance").toFixed(1)} dB`, "0 dB"],
      ["Word that a classifier hears after", words[1] ?? "", `${words[0]}, as before`],
    ]);
  }

  /** Show scores: name, value, and value at best. */
  private show(lines: [string, string, string][]): void {
    const cell = (kind: "td" | "th", text: string): HTMLElement => {
      const made = document.createElement(kind);
      made.textContent = text;
      return made;
    };
    const rows = lines.map(([name, ...values]) => {
      const row = document.createElement("tr");
      const head = cell("th", name);
      head.setAttribute("scope", "row");
      row.append(head, ...values.map((value) => cell("td", value)));
      return row;
    });
    find("scores").replaceChildren(...rows);
  }
}
