/** The page: what is on it, and what happens when somebody does something. */

import { Engine, output, rows, scalar, vector } from "./engine";
import { npy, save, wav } from "./files";
import { asset, loadManifest, type Manifest } from "./manifest";
import { record, type Recording } from "./microphone";
import { normals } from "./noise";
import { drawImage, drawPoint, drawSpectrogram, drawWaveform, sheet } from "./pictures";
import { audible, BadSound, check, decode, play } from "./sound";

const DRAWN = 8; // drawings at a time
const SIZE = 28; // height and width of a drawing
const BANDS = 48; // of the spectrogram

function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`#${id} is missing`);
  return found as T;
}

const button = (id: string): HTMLButtonElement => find<HTMLButtonElement>(id);
const slider = (id: string): HTMLInputElement => find<HTMLInputElement>(id);
const canvas = (id: string): HTMLCanvasElement => find<HTMLCanvasElement>(id);
const tell = (sentence: string): void => {
  find("status").textContent = sentence;
};

/** A recording, and what was found of it. */
interface Heard {
  name: string;
  waveform: Float32Array;
  condition?: Float32Array; // the drawer's latent
  latent?: Float32Array; // the generator's
  clip?: Float32Array; // what the generator's latent stands for
  again?: Float32Array;
}

class Page {
  private readonly recordings: Heard[] = [];
  private current: Heard | undefined;
  private recording: Recording | undefined;
  private drawn = 0; // drawings shown so far
  private asked = 0; // recordings that the visitor has asked for so far
  private drawing = 0; // times that drawings were asked for so far
  private walked = new Float32Array();
  private mapped = new Float32Array();

  constructor(
    private readonly manifest: Manifest,
    private readonly engine: Engine, // draws, and is not kept waiting by the others
    private readonly others: Engine,
  ) {
    slider("guidance").value = String(manifest.guidance);
    find("guidance-value").textContent = String(manifest.guidance);
    for (const name of manifest.clips) this.offerClip(name);
    this.connect();
  }

  /** Let the visitor begin, once drawing is possible; load the rest meanwhile. */
  async start(): Promise<void> {
    await Promise.all([this.engine.load("drawer"), this.engine.load("reader")]);
    button("speak").disabled = slider("file").disabled = false;
    for (const each of document.querySelectorAll<HTMLButtonElement>("#clips button")) each.disabled = false;
    tell("Ready: speak a digit, open a sound file, or choose a clip.");
    document.body.dataset["ready"] = "yes";
    for (const model of ["encoder", "generator", "listener", "scores"]) await this.others.load(model);
    document.body.dataset["complete"] = "yes";
    find("map").hidden = false;
    drawPoint(canvas("pad"), 0, 0);
  }

  private offerClip(name: string): void {
    const choice = document.createElement("button");
    choice.textContent = name.split("-")[0] ?? name;
    choice.title = `the shipped clip ${name}`;
    choice.disabled = true;
    choice.onclick = (): void =>
      this.take(name, async () => {
        const answer = await fetch(asset(`${name}.wav`));
        if (!answer.ok) throw new BadSound(`The clip ${name} is missing on this server.`);
        return decode(await answer.blob(), name, this.manifest.sampleRate);
      });
    find("clips").append(choice);
  }

  private connect(): void {
    const rate = this.manifest.sampleRate;
    const on = (id: string, action: () => void | Promise<void>): void => {
      button(id).onclick = (): void => this.attempt(async () => action());
    };
    on("speak", () => this.speak());
    slider("file").onchange = (): void => {
      const file = slider("file").files?.[0];
      slider("file").value = "";
      if (file) this.readFile(file);
    };
    document.ondragover = (event): void => event.preventDefault();
    document.ondrop = (event): void => {
      event.preventDefault();
      const file = event.dataTransfer?.files[0];
      if (file) this.readFile(file);
    };
    on("play-heard", () => this.with((heard) => play(heard.waveform, rate)));
    on("save-heard", () => this.with((heard) => save(wav(heard.waveform, rate), `${heard.name}.wav`)));
    for (const id of ["guidance", "seed"]) {
      slider(id).oninput = (): void => {
        find(`${id}-value`).textContent = slider(id).value;
      };
      slider(id).onchange = (): void => this.attempt(() => this.drawAgain());
    }
    on("more", () => this.drawAgain(this.drawn));
    on("save-drawings", async () => {
      const all = [...document.querySelectorAll<HTMLCanvasElement>("#drawings canvas")];
      save(await sheet(all), `${this.current?.name ?? "drawings"}.png`);
    });
    on("save-condition", () =>
      this.with((heard) => heard.condition && save(npy(heard.condition), `${heard.name}-condition.npy`)),
    );
    on("say", () => this.sayAgain());
    on("play-before", () => this.with((heard) => heard.clip && play(heard.clip, rate)));
    on("play-after", () => this.with((heard) => heard.again && play(heard.again, rate)));
    on("save-after", () =>
      this.with((heard) => heard.again && save(wav(heard.again, rate), `${heard.name}-again.wav`)),
    );
    on("save-latent", () =>
      this.with((heard) => heard.latent && save(npy(heard.latent), `${heard.name}.npy`)),
    );
    for (const id of ["from", "to", "place"]) slider(id).oninput = latest(() => this.walk());
    on("play-walked", () => (this.walked.length ? play(this.walked, rate) : this.walk()));
    for (const id of ["across", "up"]) slider(id).oninput = latest(() => this.goOnMap());
    on("play-mapped", () => (this.mapped.length ? play(this.mapped, rate) : this.goOnMap()));
    const pad = canvas("pad");
    pad.onpointerdown = pad.onpointermove = (event): void => {
      if (event.type === "pointermove" && event.buttons === 0) return;
      const box = pad.getBoundingClientRect();
      slider("across").value = String(Math.round(200 * ((event.clientX - box.left) / box.width) - 100));
      slider("up").value = String(Math.round(100 - 200 * ((event.clientY - box.top) / box.height)));
      slider("up").dispatchEvent(new Event("input"));
    };
    pad.onpointerup = (): void => {
      if (this.mapped.length) play(this.mapped, rate);
    };
  }

  private with(action: (heard: Heard) => void): void {
    if (this.current) action(this.current);
  }

  /** Do something; whatever goes wrong is told in one sentence, and the page goes on. */
  private attempt(action: () => Promise<void>): void {
    action().catch((error: unknown) => {
      if (error instanceof BadSound) tell(error.message);
      else tell(`That did not work (${error instanceof Error ? error.message : String(error)}); try it again.`);
    });
  }

  private async speak(): Promise<void> {
    if (this.recording) {
      this.recording.stop();
      return;
    }
    const meter = find("level");
    const speak = button("speak");
    this.recording = await record(this.manifest.sampleRate, (level) => {
      meter.setAttribute("aria-valuenow", String(Math.round(100 * level)));
      (meter.firstElementChild as HTMLElement).style.transform = `scaleX(${level})`;
    });
    speak.textContent = "Stop";
    tell("Listening: say a digit. The recording ends by itself.");
    const { waveform } = this.recording;
    this.take(`recording-${this.recordings.length + 1}`, () =>
      waveform.finally(() => {
        this.recording = undefined;
        speak.textContent = "Speak a digit";
      }),
    );
  }

  private readFile(file: File): void {
    tell(`${file.name} is being read.`);
    const name = file.name.replace(/\.[^.]*$/, "");
    this.take(name, () => decode(file, file.name, this.manifest.sampleRate), file.name);
  }

  /** Take a new recording: check it, show it, draw it; unless another was asked for meanwhile. */
  private take(name: string, read: () => Promise<Float32Array>, called = `The ${name.replace("-", " ")}`): void {
    const turn = ++this.asked;
    this.attempt(async () => {
      try {
        const waveform = await read();
        if (turn !== this.asked) return;
        check(waveform, this.manifest.sampleRate, called);
        await this.hear(waveform, this.unused(name));
      } catch (error) {
        if (turn === this.asked) throw error;
      }
    });
  }

  /** The name, with a number where an earlier recording has it. */
  private unused(name: string): string {
    let found = name;
    for (let count = 2; this.recordings.some((each) => each.name === found); count++) found = `${name}-${count}`;
    return found;
  }

  private async hear(waveform: Float32Array, name: string): Promise<void> {
    const began = performance.now();
    const heard: Heard = { name, waveform };
    this.current = heard;
    this.recordings.push(heard);
    this.offerWalk();
    find("said").hidden = true;
    for (const id of ["heard", "drawn", "again"]) find(id).hidden = false;
    drawWaveform(canvas("waveform"), waveform);
    if (!(await this.draw())) return;
    const seconds = (performance.now() - began) / 1000;
    document.body.dataset["drawnIn"] = seconds.toFixed(3);
    tell(`Drawn ${DRAWN} times in ${seconds.toFixed(2)} s, read as ${this.readings()}.`);
  }

  /** Draw the current recording as the sliders say, and tell it. */
  private async drawAgain(from = 0): Promise<void> {
    if (!(await this.draw(from))) return;
    const [guidance, seed] = [slider("guidance").value, slider("seed").value];
    tell(`${this.drawn} drawings with guidance ${guidance} and seed ${seed}, most of them read as ${this.readings()}.`);
  }

  private readings(): string {
    const counts = new Map<string, number>();
    for (const each of document.querySelectorAll<HTMLElement>("#drawings li")) {
      const digit = each.dataset["digit"] ?? "?";
      counts.set(digit, (counts.get(digit) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "nothing";
  }

  /** Draw the current recording; `from` drawings stay. False where newer drawings were asked for. */
  private async draw(from = 0): Promise<boolean> {
    const heard = this.current;
    const turn = ++this.drawing;
    if (!heard) return false;
    const { noise: width } = this.manifest;
    const seed = Number(slider("seed").value);
    const noise = normals((from + DRAWN) * width, seed).slice(from * width);
    const found = await this.engine.run("drawer", {
      waveform: vector(heard.waveform),
      noise: rows(noise, width),
      guidance: scalar(Number(slider("guidance").value)),
    });
    const images = output(found, "images");
    const read = output(
      await this.engine.run("reader", { images: { data: images, dims: [DRAWN, SIZE, SIZE] } }),
      "logits",
    );
    if (turn !== this.drawing) return false;
    heard.condition = output(found, "latent");
    drawSpectrogram(canvas("spectrogram"), output(found, "spectrogram"), BANDS);
    const list = find("drawings");
    if (!from) list.replaceChildren();
    for (let at = 0; at < DRAWN; at++) {
      const [digit, share] = likeliest(read.slice(10 * at, 10 * (at + 1)));
      const item = document.createElement("li");
      const picture = document.createElement("canvas");
      drawImage(picture, images.slice(at * SIZE * SIZE, (at + 1) * SIZE * SIZE), SIZE);
      picture.setAttribute("role", "img");
      picture.setAttribute("aria-label", `drawing ${from + at + 1}, read as ${digit}`);
      item.dataset["digit"] = String(digit);
      item.append(picture, `${digit} (${Math.round(100 * share)} %)`);
      list.append(item);
    }
    this.drawn = from + DRAWN;
    return true;
  }

  /** The generator's latent of a recording, by the encoder. */
  private async latentOf(heard: Heard): Promise<Float32Array> {
    if (!heard.latent) {
      const found = await this.others.run("encoder", { waveform: vector(heard.waveform) });
      // As audiate.inverter does, keep to the prior's box.
      heard.latent = output(found, "latent").map((each) => Math.min(1, Math.max(-1, each)));
      heard.clip = output(found, "clip");
    }
    return heard.latent;
  }

  private async generate(latent: Float32Array): Promise<Float32Array> {
    const found = await this.others.run("generator", { latents: rows(latent, latent.length) });
    return output(found, "waveforms");
  }

  /** The word that the classifier hears, or "nothing" where there is nothing to hear. */
  private async listen(waveform: Float32Array): Promise<string> {
    if (!audible(waveform)) return "nothing";
    const found = await this.others.run("listener", { waveform: vector(waveform) });
    return this.manifest.words[likeliest(output(found, "logits"))[0]] ?? "?";
  }

  private async sayAgain(): Promise<void> {
    const heard = this.current;
    if (!heard) return;
    const began = performance.now();
    heard.again = await this.generate(await this.latentOf(heard));
    if (heard !== this.current) return;
    const clip = heard.clip ?? heard.waveform;
    const seconds = (performance.now() - began) / 1000;
    find("said").hidden = false;
    drawWaveform(canvas("before"), clip);
    drawWaveform(canvas("after"), heard.again);
    play(heard.again, this.manifest.sampleRate);
    document.body.dataset["saidIn"] = seconds.toFixed(3);
    tell(`Said again in ${seconds.toFixed(2)} s.`);
    const scores = await this.others.run("scores", { output: vector(heard.again), target: vector(clip) });
    const number = (name: string, digits: number): string => (output(scores, name)[0] ?? NaN).toFixed(digits);
    const cells = [
      number("mse", 5),
      number("ssim", 4),
      `${number("log_spectral_distance", 1)} dB`,
      await this.listen(clip),
      await this.listen(heard.again),
    ].map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    });
    if (heard === this.current) find("scores").replaceChildren(...cells);
  }

  /** Offer the recordings so far as ends of a walk, once there are two. */
  private offerWalk(): void {
    const ends = [find<HTMLSelectElement>("from"), find<HTMLSelectElement>("to")];
    for (const end of ends) end.add(new Option(this.recordings.at(-1)?.name, String(this.recordings.length - 1)));
    if (this.recordings.length < 2) return;
    ends.forEach((end, at) => (end.value = String(this.recordings.length - 2 + at)));
    find("walk").hidden = false;
  }

  private async walk(): Promise<void> {
    const end = (id: string): Heard | undefined => this.recordings[Number(find<HTMLSelectElement>(id).value)];
    const [from, to] = [end("from"), end("to")];
    if (!from || !to) return;
    const share = Number(slider("place").value) / 100;
    const [a, b] = [await this.latentOf(from), await this.latentOf(to)];
    this.walked = new Float32Array(await this.generate(a.map((each, at) => each + share * ((b[at] ?? 0) - each))));
    drawWaveform(canvas("walked"), this.walked);
    play(this.walked, this.manifest.sampleRate);
  }

  private async goOnMap(): Promise<void> {
    const [across, up] = [Number(slider("across").value) / 100, Number(slider("up").value) / 100];
    drawPoint(canvas("pad"), across, up);
    const [x, y] = this.manifest.map;
    const latent = Float32Array.from(x, (each, at) =>
      Math.min(1, Math.max(-1, across * each + up * (y[at] ?? 0))),
    );
    this.mapped = new Float32Array(await this.generate(latent));
    drawWaveform(canvas("mapped"), this.mapped);
    play(this.mapped, this.manifest.sampleRate);
    const word = await this.listen(this.mapped);
    find("mapped-digit").textContent = word === "nothing" ? "nothing to hear here" : `sounds like ${word}`;
  }
}

/** The most likely class of logits, and its probability. */
function likeliest(logits: Float32Array): [number, number] {
  const most = Math.max(...logits);
  const total = logits.reduce((sum, each) => sum + Math.exp(each - most), 0);
  return [logits.indexOf(most), 1 / total];
}

/** A handler that runs one call at a time, and after it only the latest that came meanwhile. */
function latest(action: () => Promise<void>): () => void {
  let busy = false;
  let again = false;
  const go = async (): Promise<void> => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await action();
    } catch {
      tell("That did not work; try it again.");
    }
    busy = false;
    if (again) {
      again = false;
      await go();
    }
  };
  return () => void go();
}

async function main(): Promise<void> {
  if (typeof WebAssembly === "undefined" || typeof Worker === "undefined") {
    tell("This browser runs no WebAssembly, which the models need; open the page in another browser.");
    return;
  }
  try {
    await new Page(await loadManifest(), new Engine(), new Engine()).start();
  } catch (error) {
    tell(`The models could not be loaded (${error instanceof Error ? error.message : String(error)}); reload the page.`);
  }
}

void main();
