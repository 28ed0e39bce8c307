/** The page: it listens, and has the sections draw, say again and walk. */

import { Again } from "./again";
import { attempt, describe, excuse, find, input, on, tell } from "./dom";
import { Drawings } from "./drawings";
import { wasmEngine } from "./engine";
import { save, wav } from "./files";
import { PriorMap } from "./map";
import { asset, loadManifest, type Manifest } from "./manifest";
import { record, type Recording } from "./microphone";
import { drawWaveform } from "./pictures";
import { BadSound, check, decode, player, quiet } from "./sound";
import { Turns } from "./turns";
import { type Heard, Voice } from "./voice";
import { Walk } from "./walk";

class Page {
  private readonly requests = new Turns(); // of recordings
  private readonly engine = wasmEngine(); // runs all but the drawer, which is not to wait for it
  private readonly voice: Voice;
  private readonly drawings: Drawings;
  private readonly again: Again;
  private readonly walk: Walk;
  private readonly map: PriorMap;
  private current: Heard | undefined;
  private recording: Recording | undefined; // that goes on now
  private asking = false; // whether the microphone is being asked for

  constructor(private readonly manifest: Manifest) {
    const rate = manifest.sampleRate;
    this.voice = new Voice(manifest, this.engine);
    this.drawings = new Drawings(manifest, wasmEngine(), this.requests);
    this.again = new Again(rate, this.voice, this.requests);
    this.walk = new Walk(this.voice, rate, this.requests);
    this.map = new PriorMap(manifest, this.voice);
    for (const name of manifest.clips) this.offerClip(name);
    on("speak", () => this.speak());
    input("file").onchange = (): void => {
      const file = input("file").files?.[0];
      input("file").value = "";
      if (file) this.readFile(file);
    };
    document.ondragover = (event): void => event.preventDefault();
    document.ondrop = (event): void => {
      event.preventDefault();
      const file = event.dataTransfer?.files[0];
      if (file) this.readFile(file);
    };
    on("play-heard", () => {
      if (this.current) player(rate)(this.current.waveform);
    });
    on("save-heard", () => {
      if (this.current) save(wav(this.current.waveform, rate), `${this.current.name}.wav`);
    });
    const { drawer, reader, generator, listener } = manifest.models;
    find("models").textContent =
      `Models: ${drawer} draws, ${reader} reads drawings, ${generator} finds latents and speaks, ${listener} listens.`;
  }

  /** Let the visitor begin, once drawing is possible; load the rest meanwhile. */
  async start(): Promise<void> {
    await this.drawings.load();
    input("speak").disabled = input("file").disabled = false;
    for (const each of document.querySelectorAll<HTMLButtonElement>("#clips button")) each.disabled = false;
    tell("Ready: speak a digit, open a sound file, or choose a clip.");
    document.body.dataset["ready"] = "yes";
    await this.voice.load();
    document.body.dataset["complete"] = "yes";
    this.map.show();
  }

  private offerClip(name: string): void {
    const choice = document.createElement("button");
    choice.textContent = name.split("-")[0] ?? name;
    choice.title = `the clip ${name}`;
    choice.disabled = true;
    choice.onclick = (): void =>
      this.take(name, async () => {
        const answer = await fetch(asset(`${name}.wav`));
        if (!answer.ok) throw new BadSound(`The clip ${name} is missing on this server.`);
        return decode(await answer.blob(), name, this.manifest.sampleRate);
      });
    find("clips").append(choice);
  }

  private readFile(file: File): void {
    tell(`${file.name} is being read.`);
    const name = file.name.replace(/(?<=.)\.[^.]*$/, "");
    this.take(name, () => decode(file, file.name, this.manifest.sampleRate), file.name);
  }

  /** Begin a recording; while one goes on, end it. */
  private speak(): void {
    if (this.recording) this.recording.stop();
    else if (!this.asking) this.take("recording", (counts) => this.record(counts), "The recording");
  }

  private async record(counts: () => boolean): Promise<Float32Array> {
    const meter = find("level");
    const onLevel = (level: number): void => {
      meter.setAttribute("aria-valuenow", String(Math.round(100 * level)));
      (meter.firstElementChild as HTMLElement).style.transform = `scaleX(${level})`;
    };
    quiet();
    this.asking = true;
    try {
      this.recording = await record(this.manifest.sampleRate, onLevel);
      if (counts()) tell("Listening: say a digit. The recording ends by itself.");
      else this.recording.stop();
      find("speak").textContent = "Stop";
      return await this.recording.waveform;
    } finally {
      this.asking = false;
      this.recording = undefined;
      find("speak").textContent = "Speak a digit";
    }
  }

  /**
   * Take a new recording: check it, show it, draw it; unless another is asked for meanwhile. `read`
   * is told whether none is.
   */
  private take(name: string, read: (counts: () => boolean) => Promise<Float32Array>, called = name): void {
    const counts = this.requests.take();
    this.recording?.stop();
    attempt(async () => {
      try {
        const waveform = await read(counts);
        if (!counts()) return;
        check(waveform, this.manifest.sampleRate, called);
        await this.hear({ name: this.walk.unused(name), waveform });
      } catch (error) {
        if (counts()) excuse(error);
      }
    });
  }

  private async hear(heard: Heard): Promise<void> {
    this.current = heard;
    this.again.take(heard);
    this.walk.offer(heard);
    for (const id of ["heard", "drawn", "again"]) find(id).hidden = false;
    find("heard-name").textContent = heard.name;
    drawWaveform(find<HTMLCanvasElement>("waveform"), heard.waveform);
    await this.drawings.begin(heard);
  }
}

async function main(): Promise<void> {
  if (typeof WebAssembly === "undefined" || typeof Worker === "undefined") {
    tell("This browser runs no WebAssembly, which the models need; open the page in another browser.");
    return;
  }
  try {
    await new Page(await loadManifest()).start();
  } catch (error) {
    tell(`The models could not be loaded (${describe(error)}); reload the page.`);
  }
}

void main();
