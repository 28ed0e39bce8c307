/** The second layer: what was heard, said again, walks between sounds, and the map. */

import { attempt, canvas, find, input, on, requests } from "./dom";
import { type Engine, likeliest, type Manifest, rows, vector } from "./engine";
import { npy, save, wav } from "./files";
import type { Heard } from "./main";
import { SoundMap } from "./map";
import { between } from "./noise";
import { drawSpectrogram, drawWaveform, wipe } from "./pictures";
import { audible, player } from "./sound";

const BANDS = 48; // of the spectrogram
const OFFERED = 30; // sounds as ends of a walk

export class Inside {
  private readonly ends = new Map<string, Heard>(); // of walks, by name
  private current: Heard | undefined;
  private readonly rate: number;
  private readonly map: SoundMap;

  /** `wanted` gives the signal that ends when another sound is asked for. */
  constructor(
    private readonly manifest: Manifest,
    private readonly voice: Engine,
    private readonly wanted: () => AbortSignal,
  ) {
    this.rate = manifest.sampleRate;
    on("say", () => this.sayAgain());
    on("play-before", () => this.play(this.current?.again?.clip));
    on("play-after", () => this.play(this.current?.again?.sound));
    on("save-after", () => {
      const { again, name } = this.current ?? {};
      if (again?.sound) save(wav(again.sound, this.rate), `${name}-again.wav`);
    });
    on("save-latent", () => {
      const { again, name } = this.current ?? {};
      if (again) save(npy(again.latent), `${name}.npy`);
    });
    find<HTMLDetailsElement>("inside").ontoggle = (): void => this.draw();
    this.offerWalk();
    const go = this.offerPlace("mapped", () => this.map.latent(), requests());
    this.map = new SoundMap(go);
  }

  /** Show a sound, and offer it as an end of walks. */
  take(heard: Heard): void {
    this.current = heard;
    this.map.mark(heard.drawn?.condition);
    this.ends.delete(heard.name); // the newest stands last, and each name once
    this.ends.set(heard.name, heard);
    const [oldest] = this.ends.keys();
    if (this.ends.size > OFFERED && oldest !== undefined) this.ends.delete(oldest);
    const names = [...this.ends.keys()];
    for (const [at, id] of ["from", "to"].entries()) {
      const select = find<HTMLSelectElement>(id);
      select.replaceChildren(...names.map((name) => new Option(name)));
      select.value = names[Math.max(0, names.length - 2 + at)] ?? "";
    }
    const able = names.length > 1;
    input("place").disabled = find<HTMLButtonElement>("play-walked").disabled = !able;
    input("place").value = "0";
    find("place-value").textContent = "0 %";
    find("walked-word").textContent = able ? "" : "Hear two sounds first.";
    wipe(canvas("walked"));
    this.draw();
  }

  /** Show nothing of the sound before. */
  forget(): void {
    this.current = undefined;
    this.map.mark(undefined);
    find("compare").hidden = true;
    find("walked-word").textContent = "";
    for (const id of ["waveform", "spectrogram", "before", "after", "walked"]) wipe(canvas(id));
    this.enableAgain(false);
  }

  saveNumbers({ name, drawn }: Heard): void {
    if (drawn) save(npy(drawn.condition), `${name}-condition.npy`);
  }

  private draw(): void {
    if (!find<HTMLDetailsElement>("inside").open) return;
    attempt(() => this.map.show());
    const { waveform, drawn, again } = this.current ?? {};
    if (waveform) drawWaveform(canvas("waveform"), waveform);
    if (drawn) drawSpectrogram(canvas("spectrogram"), drawn.spectrogram, BANDS);
    if (again?.sound) {
      drawWaveform(canvas("before"), again.clip);
      drawWaveform(canvas("after"), again.sound);
    }
  }

  private play(sound?: Float32Array): void {
    if (sound) player(this.rate)(sound);
  }

  private enableAgain(able: boolean): void {
    for (const id of ["play-before", "play-after", "save-after", "save-latent"]) {
      find<HTMLButtonElement>(id).disabled = !able;
    }
  }

  /** The generator's latent of a sound, and the part of the sound that it stands for. */
  private async latentOf(heard: Heard, signal: AbortSignal): Promise<{ latent: Float32Array; clip: Float32Array }> {
    if (!heard.again) {
      const found = await this.voice.run("encoder", { waveform: vector(heard.waveform) }, signal);
      heard.again = { latent: found("latent"), clip: found("clip") };
    }
    return heard.again;
  }

  private async speak(latent: Float32Array, signal: AbortSignal): Promise<Float32Array> {
    return (await this.voice.run("generator", { latents: rows(latent, latent.length) }, signal))("waveforms");
  }

  private async word(sound: Float32Array, signal: AbortSignal): Promise<string> {
    if (!audible(sound)) return "nothing";
    const found = await this.voice.run("listener", { waveform: vector(sound) }, signal);
    return this.manifest.words[likeliest(found("logits"))[0]] ?? "nothing";
  }

  private async sayAgain(): Promise<void> {
    const [heard, signal] = [this.current, this.wanted()];
    if (!heard) return;
    const button = find("say");
    const play = player(this.rate);
    const began = performance.now();
    button.textContent = "Finding the numbers …";
    try {
      const { latent, clip } = await this.latentOf(heard, signal);
      const sound = await this.speak(latent, signal);
      heard.again = { latent, clip, sound };
      play(sound);
      document.body.dataset["saidIn"] = ((performance.now() - began) / 1000).toFixed(2);
      this.draw();
      this.enableAgain(true);
      const score = await this.voice.run("scores", { output: vector(sound), target: vector(clip) }, signal);
      const value = (name: string): number => score(name)[0] ?? NaN;
      const [before, after] = [await this.word(clip, signal), await this.word(sound, signal)];
      this.tell([
        ["Squared error of samples", value("mse").toFixed(5), "0"],
        ["Likeness of spectrograms (SSIM)", value("ssim").toFixed(4), "1"],
        ["Log-spectral distance", `${value("log_spectral_distance").toFixed(1)} dB`, "0 dB"],
        ["Word", after, before],
      ]);
    } finally {
      button.textContent = "Say it again";
    }
  }

  /** Show scores: name, value, and value at best. */
  private tell(lines: [string, string, string][]): void {
    const rows = lines.map(([name, ...values]) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head);
      for (const value of values) row.insertCell().textContent = value;
      return row;
    });
    find("scores").replaceChildren(...rows);
    find("compare").hidden = false;
  }

  /** Have a place among latents seen and read whenever it moves, and heard when it stands. */
  private offerPlace(id: "walked" | "mapped", latent: (signal: AbortSignal) => Promise<Float32Array>, next: () => AbortSignal) {
    const go = async (aloud: boolean): Promise<void> => {
      const signal = next();
      const play = aloud ? player(this.rate) : undefined;
      find(`${id}-word`).textContent = "…";
      const sound = await this.speak(await latent(signal), signal);
      drawWaveform(canvas(id), sound);
      play?.(sound);
      const word = await this.word(sound, signal);
      find(`${id}-word`).textContent = word === "nothing" ? "nothing to hear" : `sounds like ${word}`;
    };
    on(`play-${id}`, () => go(true));
    return (aloud: boolean): void => attempt(() => go(aloud));
  }

  private offerWalk(): void {
    const latent = async (signal: AbortSignal): Promise<Float32Array> => {
      const [from, to] = ["from", "to"].map((id) => this.ends.get(find<HTMLSelectElement>(id).value));
      if (!from || !to) throw signal.reason;
      const [a, b] = [await this.latentOf(from, signal), await this.latentOf(to, signal)];
      return between(a.latent, b.latent, Number(input("place").value) / 100);
    };
    const go = this.offerPlace("walked", latent, requests(this.wanted));
    for (const id of ["from", "to"]) find(id).onchange = (): void => go(true);
    input("place").oninput = (): void => {
      find("place-value").textContent = `${input("place").value} %`;
      go(false);
    };
    input("place").onchange = (): void => go(true);
  }
}
