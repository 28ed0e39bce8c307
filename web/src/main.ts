/** The page: takes sounds, has them drawn and named, and shows the newest of them alone. */

import { attempt, describe, excuse, find, input, on, requests } from "./dom";
import { asset, Engine, likeliest, loadManifest, type Manifest, type Progress, rows, scalar, vector } from "./engine";
import { png, save, wav } from "./files";
import { Inside } from "./inside";
import { record, type Recording } from "./microphone";
import { normals } from "./noise";
import { SIZE } from "./pictures";
import { offerSketch } from "./sketch";
import { BadSound, check, decode, mayPlay, player, quiet } from "./sound";
import { COUNT, headline, Stage } from "./stage";

const CLASSES = 10;
const NONE = new Float32Array(); // of models without this output
const FIRST = ["drawer", "reader"]; // models without which nothing is drawn
const LATER = ["listener", "sayer", "generator", "encoder", "scores"]; // the slowest to begin last

/** A sound, and what was found of it. All that the page shows or saves of a sound stands here. */
export interface Heard {
  name: string;
  clip?: string; // the clip of the page that it is
  lead: string; // the words before its own: who said it
  waveform: Float32Array;
  word?: { digit: number; sure: number; score?: number }; // by the listener
  drawn?: { images: Float32Array; digits: number[]; condition: Float32Array; spectrogram: Float32Array; score?: number };
  voices?: Float32Array[]; // that say what was written
  again?: { latent: Float32Array; clip: Float32Array; sound?: Float32Array };
}

/** Whether a sound holds a digit: the log-odds of that, which models give, are not below 0. */
export const isDigit = ({ word, drawn }: Heard): boolean => (word?.score ?? drawn?.score ?? 0) >= 0;

const sureness = (share: number): string => (share > 0.99 ? "Over 99 % sure" : `${Math.round(100 * share)} % sure`);

class Page {
  private readonly loaded = new Map<string, number>(); // bytes, by file
  private readonly voice = new Engine(); // listens and speaks
  private readonly stage = new Stage();
  private readonly inside: Inside;
  private readonly newSound = requests();
  private readonly newDrawings = requests(() => this.wanted);
  private wanted = this.newSound(); // ends when another sound is asked for
  private current: Heard | undefined;
  private recording: Recording | undefined; // that goes on now
  private asking = false; // whether the microphone is being asked for
  private count = 0; // of recordings
  private sayAgain = (): void => undefined; // what was written

  /** `drawer` draws, and is not to wait for what listens and speaks. */
  constructor(
    private readonly manifest: Manifest,
    private readonly drawer: Engine,
  ) {
    this.drawer.onProgress = this.voice.onProgress = (progress): void => this.tellBytes(progress);
    this.inside = new Inside(manifest, this.voice, () => this.wanted);
    const given = new URLSearchParams(location.hash.slice(1));
    input("guidance").value = given.get("guidance") ?? String(manifest.guidance);
    input("seed").value = given.get("seed") ?? "0";
    this.tellSliders();
    for (const [digit, name] of manifest.clips.entries()) this.offerClip(digit, name);
    on("speak", () => this.speak());
    on("play", () => player(manifest.sampleRate)(this.heard().waveform));
    on("redraw", () => {
      input("seed").value = String((Number(input("seed").value) + 1) % 100);
      return this.redraw();
    });
    on("share", () => this.share());
    for (const id of ["guidance", "seed"]) {
      input(id).oninput = (): void => this.tellSliders();
      input(id).onchange = (): void => attempt(() => this.redraw());
    }
    this.offerSaves();
    this.offerFiles();
    this.offerWriting();
    const { models } = manifest;
    find("models").textContent =
      `${models["drawer"]} draws, ${models["reader"]} reads the drawings, ${models["listener"]} names the word, ${models["generator"]} speaks, and ${models["sayer"]} says what is written.`;
    const clip = given.get("clip");
    const early = document.body.dataset["early"]; // the button that was pressed before this could act: index.html
    document.onclick = null;
    const first = firstVisit();
    if (early) find(early).click();
    else if (clip && manifest.clips.includes(clip)) this.takeClip(clip, false);
    else if (first) this.takeClip("seven-rms", mayPlay());
  }

  /** Load what draws, then all else; the visitor may begin at once. */
  async start(): Promise<void> {
    await Promise.all(FIRST.map((model) => this.drawer.load(model)));
    document.body.dataset["ready"] = "yes";
    for (const model of LATER) {
      await this.voice.load(model);
      document.body.dataset[model] = "yes";
    }
    document.body.dataset["complete"] = "yes";
    find("loading").classList.add("over");
    await navigator.serviceWorker?.register("sw.js");
  }

  private tellBytes({ address, loaded }: Progress): void {
    this.loaded.set(/(wasm|\w+\.(onnx|bin))\.gz$/.exec(address)?.[1] ?? address, loaded);
    const ready = document.body.dataset["ready"];
    const part = ready ? ["voice.bin", ...LATER.map((model) => `${model}.onnx`)] : ["wasm", ...FIRST.map((model) => `${model}.onnx`)];
    const sum = (sizes: (name: string) => number): number => part.reduce((all, name) => all + sizes(name), 0) / 1e6;
    const [come, whole] = [sum((name) => this.loaded.get(name) ?? 0), sum((name) => this.manifest.bytes[name] ?? 0)];
    find<HTMLProgressElement>("bytes").value = come / whole;
    const what = ready ? "voices" : "models";
    find("megabytes").textContent = `Loading ${what}: ${come.toFixed(1)} of ${whole.toFixed(1)} MB. You can begin.`;
  }

  private tellSliders(): void {
    for (const id of ["guidance", "seed"]) find(`${id}-value`).textContent = input(id).value;
  }

  private offerClip(digit: number, name: string): void {
    const choice = document.createElement("button");
    choice.textContent = choice.dataset["digit"] = String(digit);
    choice.setAttribute("aria-label", `${digit}, the clip ${name}`);
    choice.onclick = (): void => this.takeClip(name, true);
    find("clips").append(choice);
  }

  private takeClip(name: string, aloud: boolean): void {
    if (document.body.dataset["mode"] === "write") find("mode-say").click();
    const play = aloud ? player(this.manifest.sampleRate) : undefined;
    this.take({ name, clip: name, lead: "I heard" }, async () => {
      const answer = await fetch(asset(`${name}.flac`));
      if (!answer.ok) throw new BadSound(`The clip ${name} is missing on this server.`);
      const waveform = await decode(await answer.blob(), name, this.manifest.sampleRate);
      play?.(waveform);
      return waveform;
    });
  }

  private offerFiles(): void {
    const read = (file: File | undefined): void => {
      if (!file) return;
      const name = file.name.replace(/(?<=.)\.[^.]*$/, "");
      this.take({ name, lead: "I heard" }, () => decode(file, file.name, this.manifest.sampleRate), file.name);
    };
    input("file").onchange = (): void => {
      const file = input("file").files?.[0];
      input("file").value = "";
      read(file);
    };
    document.ondragover = (event): void => event.preventDefault();
    document.ondrop = (event): void => {
      event.preventDefault();
      read(event.dataTransfer?.files[0]);
    };
  }

  private offerSaves(): void {
    on("save-heard", () => save(wav(this.heard().waveform, this.manifest.sampleRate), `${this.heard().name}.wav`));
    on("save-drawings", async () => {
      const { name, drawn } = this.heard();
      if (drawn) save(await png(drawn.images, SIZE), `${name}.png`);
    });
    on("save-condition", () => this.inside.saveNumbers(this.heard()));
  }

  private heard(): Heard {
    if (!this.current) throw new BadSound("Say a digit first.");
    return this.current;
  }

  /** Begin a recording; while one goes on, end it. */
  private speak(): void {
    if (this.recording) return this.recording.stop();
    if (this.asking) return;
    const name = `recording-${++this.count}`;
    this.take({ name, lead: "You said" }, (signal) => this.record(signal), "The recording");
  }

  private async record(signal: AbortSignal): Promise<Float32Array> {
    quiet();
    this.asking = true;
    headline("Allow the microphone", "…");
    const onLevel = (level: number): void => {
      find("level").setAttribute("aria-valuenow", String(Math.round(100 * level)));
      if (!signal.aborted) this.stage.hear(level);
    };
    try {
      const recording = await record(this.manifest.sampleRate, onLevel);
      signal.addEventListener("abort", recording.stop);
      if (signal.aborted) recording.stop();
      else {
        this.recording = recording;
        headline("Listening", "…", "Zero to nine, in English. It ends by itself.");
        this.stage.clear("listening");
        this.labelSpeak("Stop");
      }
      return await recording.waveform;
    } finally {
      this.asking = false;
      this.recording = undefined;
      this.labelSpeak("Speak");
    }
  }

  private labelSpeak(label: string): void {
    (find("speak").lastElementChild as HTMLElement).textContent = label;
  }

  /** Take a new sound in place of all before it: read it, check it, draw it. */
  private take(
    heard: Omit<Heard, "waveform">,
    read: (signal: AbortSignal) => Promise<Float32Array>,
    called = heard.name,
  ): void {
    this.begin("Listening to it", async (signal) => {
      const waveform = await read(signal);
      signal.throwIfAborted();
      check(waveform, this.manifest.sampleRate, called);
      this.current = { ...heard, waveform };
      await this.hear(this.current, signal);
    });
  }

  /** Begin something new in place of all before it, and tell where it goes wrong. */
  private begin(lead: string, work: (signal: AbortSignal) => Promise<void>): void {
    const signal = (this.wanted = this.newSound());
    this.current = undefined;
    this.inside.forget();
    this.enable(false);
    this.stage.clear("busy");
    document.body.classList.remove("refused");
    headline(lead, "…");
    work(signal).catch((error: unknown) => {
      if (signal.aborted) return;
      this.stage.clear("idle");
      excuse(error);
    });
  }

  private offerWriting(): void {
    let image: Float32Array | undefined;
    const wipe = offerSketch(
      () => undefined,
      (written) => this.sayWritten((image = written)),
    );
    const switchTo = (mode: "say" | "write") => (): void => {
      this.begin("", () => Promise.reject(new BadSound(mode === "say" ? "Say a digit." : "Write a digit in the square.")));
      document.body.dataset["mode"] = mode;
      find("redraw").textContent = mode === "say" ? "Draw again" : "Other voices";
      for (const each of ["say", "write"]) find(`mode-${each}`).setAttribute("aria-pressed", String(each === mode));
      wipe();
      quiet();
    };
    on("mode-say", switchTo("say"));
    on("mode-write", switchTo("write"));
    on("clear", switchTo("write"));
    this.sayAgain = () => image && this.sayWritten(image);
  }

  /** Say what is written in an image (28, 28), in eight voices. */
  private sayWritten(image: Float32Array): void {
    const play = player(this.manifest.sampleRate);
    this.begin("Reading it", async (signal) => {
      const read = await this.drawer.run("reader", { images: { data: image, dims: [1, SIZE, SIZE] } }, signal);
      const [digit, sure] = likeliest(read("logits"));
      headline("You wrote", this.manifest.words[digit], "Finding voices …");
      this.stage.colour(digit);
      const width = this.manifest.voiceNoise;
      const inputs = {
        image: { data: image, dims: [SIZE, SIZE] },
        noise: rows(normals(COUNT * width, Number(input("seed").value)), width),
        guidance: scalar(this.manifest.voiceGuidance),
      };
      const sounds = (await this.voice.run("sayer", inputs, signal))("waveforms");
      const length = sounds.length / COUNT;
      const voices = Array.from({ length: COUNT }, (_, at) => sounds.slice(at * length, (at + 1) * length));
      const heard: Heard = {
        name: `written-${++this.count}`,
        lead: "You wrote",
        waveform: voices[0] ?? NONE,
        word: { digit, sure },
        voices,
      };
      this.current = heard;
      this.stage.voices(voices, digit, (voice) => {
        heard.waveform = voice;
        player(this.manifest.sampleRate)(voice);
        this.stage.sound(voice);
      });
      this.stage.sound(heard.waveform);
      play(heard.waveform);
      this.show(heard);
      this.inside.take(heard);
      this.enable(true);
    });
  }

  private async hear(heard: Heard, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    headline("Drawing it", "…", document.body.dataset["ready"] ? "" : "The models are still loading.");
    this.stage.clear("busy");
    this.stage.sound(heard.waveform);
    const early = this.voice.has("listener"); // or else the drawings are not to wait for it
    await Promise.all([this.draw(heard, signal), early && this.name(heard, signal)]);
    this.show(heard);
    document.body.dataset["drawnIn"] = ((performance.now() - began) / 1000).toFixed(2);
    this.inside.take(heard);
    this.enable(true);
    if (early) return;
    await this.name(heard, signal);
    this.show(heard);
  }

  /** Have the listener name the word. */
  private async name(heard: Heard, signal: AbortSignal): Promise<void> {
    const found = await this.voice.run("listener", { waveform: vector(heard.waveform) }, signal);
    const [digit, sure] = likeliest(found("logits"));
    heard.word = { digit, sure, score: found("digit_score", NONE)[0] };
  }

  private async draw(heard: Heard, signal: AbortSignal): Promise<void> {
    const width = this.manifest.noise;
    const inputs = {
      waveform: vector(heard.waveform),
      noise: rows(normals(COUNT * width, Number(input("seed").value)), width),
      guidance: scalar(Number(input("guidance").value)),
    };
    const found = await this.drawer.run("drawer", inputs, signal);
    const images = found("images");
    const read = await this.drawer.run("reader", { images: { data: images, dims: [COUNT, SIZE, SIZE] } }, signal);
    const logits = read("logits");
    const digits = Array.from({ length: COUNT }, (_, at) => likeliest(logits.slice(CLASSES * at, CLASSES * (at + 1)))[0]);
    heard.drawn = { images, digits, condition: found("latent"), spectrogram: found("spectrogram"), score: found("digit_score", NONE)[0] };
    this.stage.reveal(images, digits);
  }

  private async redraw(): Promise<void> {
    this.tellSliders();
    const heard = this.current;
    if (!heard) return;
    if (heard.voices) return this.sayAgain();
    const signal = this.newDrawings();
    find("sure").textContent = "Drawing again …";
    await this.draw(heard, signal);
    this.show(heard);
  }

  /** Say which word it is: the listener's, or until it is there, the one that most drawings show. */
  private show(heard: Heard): void {
    const digits = heard.drawn?.digits ?? [];
    const agreeing = (digit: number): number => digits.filter((each) => each === digit).length;
    const most = digits.reduce((best, each) => (agreeing(each) > agreeing(best) ? each : best), digits[0] ?? 0);
    const digit = heard.word?.digit ?? most;
    const word = this.manifest.words[digit] ?? "";
    const refused = !isDigit(heard);
    document.body.classList.toggle("refused", refused);
    this.stage.colour(refused ? undefined : digit);
    const sure = heard.word && sureness(heard.word.sure);
    const seen = `${agreeing(digit)} of ${COUNT} drawings agree`;
    if (heard.voices) headline(heard.lead, word, `${sure}. Here are eight voices: press one.`);
    else if (refused) headline("I did not hear", "a digit", `It comes closest to ${word}. Say one from zero to nine.`);
    else if (most !== digit) headline(heard.lead, word, `${sure}, but the drawings show ${most}`);
    else headline(heard.lead, word, sure ? `${sure}, and ${seen}` : seen);
    const seed = input("seed").value;
    const link = new URLSearchParams({ ...(heard.clip && { clip: heard.clip }), seed, guidance: input("guidance").value });
    history.replaceState(null, "", `#${link.toString()}`);
  }

  private enable(able: boolean): void {
    for (const id of ["play", "redraw", "save-heard", "save-drawings", "save-condition", "say"]) {
      find<HTMLButtonElement>(id).disabled = !able;
    }
  }

  /** Give a link to this clip, seed and guidance. */
  private async share(): Promise<void> {
    const { href } = location;
    if (navigator.share) return navigator.share({ title: document.title, url: href }).catch(() => undefined);
    await navigator.clipboard.writeText(href);
    find("share").textContent = "Link copied";
    setTimeout(() => (find("share").textContent = "Share"), 2000);
  }
}

/** Whether this browser opens the page for the first time; it is, where nothing may be kept. */
function firstVisit(): boolean {
  try {
    const first = !localStorage.getItem("visited");
    localStorage.setItem("visited", "yes");
    return first;
  } catch {
    return true;
  }
}

async function main(): Promise<void> {
  if ([globalThis.WebAssembly, globalThis.Worker, globalThis.DecompressionStream].includes(undefined as never)) {
    find<HTMLButtonElement>("speak").disabled = true;
    return headline("This browser cannot run the models. Open the page in a newer one.");
  }
  try {
    const drawer = new Engine();
    for (const model of FIRST) drawer.load(model).catch(() => undefined); // before all else; `start` tells what fails
    await new Page(await loadManifest(), drawer).start();
  } catch (error) {
    headline(`The models did not load (${describe(error)}). Reload the page.`);
  }
}

void main();
