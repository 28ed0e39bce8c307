/** The section of drawings: what was heard, drawn by the latent flow, and read. */

import { attempt, canvas, find, input, on, tell } from "./dom";
import { type Engine, output, rows, scalar, vector } from "./engine";
import { npy, save } from "./files";
import type { Manifest } from "./manifest";
import { normals } from "./noise";
import { drawImage, drawSpectrogram, sheet } from "./pictures";
import { Turns } from "./turns";
import { type Heard, likeliest } from "./voice";

const AT_A_TIME = 8; // drawings
const SIZE = 28; // height and width of a drawing
const BANDS = 48; // of the spectrogram
const CLASSES = 10; // of the classifier of drawings

export class Drawings {
  private readonly turns: Turns;
  private current: Heard | undefined;
  private wanted = 0; // drawings that were asked for
  private shown = 0; // drawings that are there, all by the same recording, guidance and seed

  constructor(
    private readonly manifest: Manifest,
    private readonly engine: Engine,
    recordings: Turns,
  ) {
    this.turns = new Turns(recordings);
    input("guidance").value = String(manifest.guidance);
    find("guidance-value").textContent = String(manifest.guidance);
    for (const id of ["guidance", "seed"]) {
      input(id).oninput = (): void => {
        find(`${id}-value`).textContent = input(id).value;
      };
      input(id).onchange = (): void => attempt(() => this.begin());
    }
    on("more", () => this.draw(this.wanted + AT_A_TIME));
    on("save-drawings", async () => {
      const all = [...document.querySelectorAll<HTMLCanvasElement>("#drawings canvas")];
      save(await sheet(all), `${this.current?.name ?? "drawings"}.png`);
    });
    on("save-condition", () => {
      const { condition, name } = this.current ?? {};
      if (condition) save(npy(condition), `${name}-condition.npy`);
    });
  }

  async load(): Promise<void> {
    await Promise.all([this.engine.load("drawer"), this.engine.load("reader")]);
  }

  /** Draw a recording, or the current one, as the sliders say. */
  async begin(heard = this.current): Promise<void> {
    this.current = heard;
    this.shown = 0;
    await this.draw(AT_A_TIME);
  }

  /** Bring the number of drawings to what is wanted, and tell it. */
  private async draw(wanted: number): Promise<void> {
    const heard = this.current;
    if (!heard) return;
    const counts = this.turns.take();
    const began = performance.now();
    this.wanted = wanted;
    const from = this.shown;
    const [guidance, seed] = [Number(input("guidance").value), Number(input("seed").value)];
    const width = this.manifest.noise;
    const found = await this.engine.run("drawer", {
      waveform: vector(heard.waveform),
      noise: rows(normals(wanted * width, seed).slice(from * width), width),
      guidance: scalar(guidance),
    });
    const images = output(found, "images");
    const dims = [wanted - from, SIZE, SIZE];
    const read = output(await this.engine.run("reader", { images: { data: images, dims } }), "logits");
    if (!counts()) return;
    heard.condition = output(found, "latent");
    drawSpectrogram(canvas("spectrogram"), output(found, "spectrogram"), BANDS);
    if (!from) find("drawings").replaceChildren();
    for (let at = 0; at < wanted - from; at++) {
      this.add(images.slice(at * SIZE * SIZE, (at + 1) * SIZE * SIZE), read.slice(CLASSES * at, CLASSES * (at + 1)));
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    document.body.dataset["drawnIn"] = seconds;
    tell(`${wanted} drawings with guidance ${guidance} and seed ${seed}, in ${seconds} s: ${this.readings()}.`);
  }

  /** Add a drawing, and how it is read. */
  private add(pixels: Float32Array, logits: Float32Array): void {
    const [digit, share] = likeliest(logits);
    const item = document.createElement("li");
    const picture = document.createElement("canvas");
    drawImage(picture, pixels, SIZE);
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `drawing ${++this.shown}, read as ${digit}`);
    item.dataset["digit"] = String(digit);
    item.append(picture, `${digit} (${Math.round(100 * share)} %)`);
    find("drawings").append(item);
  }

  /** The digit that most drawings are read as. */
  private readings(): string {
    const counts = new Map<string, number>();
    for (const each of document.querySelectorAll<HTMLElement>("#drawings li")) {
      const digit = each.dataset["digit"] ?? "?";
      counts.set(digit, (counts.get(digit) ?? 0) + 1);
    }
    const [digit, count] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? ["nothing", 0];
    return `${count === this.shown ? "all" : count} of them read as ${digit}`;
  }
}
