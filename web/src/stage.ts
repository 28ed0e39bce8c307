/** The stage: what is said above all else, the ring around the button, and the eight drawings. */

import { calm, drawInk, drawRing, drawWaveform, loudness, sharpen, silence, SIZE } from "./pictures";
import { normals } from "./noise";
import { played } from "./sound";

export const COUNT = 8; // drawings
export const HUES = [25, 50, 85, 125, 155, 190, 225, 262, 300, 345]; // of digits, in degrees of oklch
const REVEAL = 420; // milliseconds in which a drawing appears
const APART = 90; // milliseconds between two drawings

const get = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Say something where everybody sees it, and screen readers read it: a line, a large word, a line. */
export function headline(lead: string, word = "", sure = ""): void {
  for (const [id, text] of Object.entries({ lead, word, sure })) {
    if (get(id).textContent !== text) get(id).textContent = text;
  }
}

type Mood = { kind: "idle" | "busy" | "listening" } | { kind: "sound"; samples: Float32Array };

/** What moves: the ring and the drawings. Nothing runs while nothing moves. */
export class Stage {
  private readonly ring = get("ring") as HTMLCanvasElement;
  private readonly tiles: HTMLCanvasElement[] = [];
  private readonly noise = Array.from({ length: COUNT }, (_, at) => normals(SIZE * SIZE, at).map((each) => 0.3 + 0.4 * each));
  private readonly levels = silence();
  private readonly hues = Float32Array.from(this.levels, (_, at) => this.rainbow(at));
  private aims = silence();
  private digit: number | undefined;
  private mood: Mood = { kind: "idle" };
  private images: Float32Array | undefined;
  private since = 0; // when the drawings began to appear
  private running = false;

  constructor() {
    for (let at = 0; at < COUNT; at++) {
      const item = document.createElement("li");
      const tile = document.createElement("canvas");
      tile.setAttribute("role", "img");
      const press = document.createElement("button");
      press.setAttribute("aria-label", `Voice ${at + 1}`);
      press.disabled = true;
      item.append(tile, press);
      get("drawings").append(item);
      this.tiles.push(tile);
    }
    addEventListener("resize", () => this.show());
    dark.onchange = (): void => this.show();
    this.clear("idle");
  }

  /** Show noise in place of drawings, as long as somebody waits for them. */
  clear(kind: "idle" | "busy" | "listening"): void {
    this.mood = { kind };
    this.images = this.digit = undefined;
    this.aims = silence();
    document.body.dataset["stage"] = kind;
    delete document.body.dataset["digit"];
    this.tiles.forEach((tile, at) => {
      tile.setAttribute("aria-label", "no drawing yet");
      delete (tile.parentElement as HTMLElement).dataset["digit"];
      (tile.nextElementSibling as HTMLButtonElement).disabled = true;
      drawInk(tile, this.noise[at] as Float32Array);
    });
    this.show();
  }

  /** A level of the microphone, 0 to 1: new ones run down both sides of the ring. */
  hear(level: number): void {
    const half = this.aims.length / 2;
    this.aims.copyWithin(1, 0, half);
    this.aims[0] = level;
    for (let at = 1; at < half; at++) this.aims[2 * half - at] = this.aims[at] as number;
    this.show();
  }

  /** Wind a sound around the button. */
  sound(samples: Float32Array): void {
    this.mood = { kind: "sound", samples };
    this.aims = loudness(samples);
    this.show();
  }

  /** Let drawings appear, one after the other, with the digit that each is read as. */
  reveal(images: Float32Array, digits: number[]): void {
    this.images = images;
    this.since = performance.now();
    this.tiles.forEach((tile, at) => {
      tile.setAttribute("aria-label", `drawing ${at + 1}, read as ${digits[at]}`);
      (tile.parentElement as HTMLElement).dataset["digit"] = String(digits[at]);
    });
    document.body.dataset["stage"] = "drawn";
    this.show();
  }

  /** Show voices in place of drawings, each of which is heard when it is pressed. */
  voices(sounds: Float32Array[], digit: number, onPress: (sound: Float32Array) => void): void {
    document.body.dataset["stage"] = "drawn";
    this.tiles.forEach((tile, at) => {
      const sound = sounds[at] as Float32Array;
      const press = tile.nextElementSibling as HTMLButtonElement;
      (tile.parentElement as HTMLElement).dataset["digit"] = String(digit);
      tile.setAttribute("aria-label", `waveform of voice ${at + 1}`);
      drawWaveform(tile, sound);
      press.disabled = false;
      press.onclick = (): void => onPress(sound);
    });
  }

  /** Take the colour of a digit; without one, those of all. */
  colour(digit: number | undefined): void {
    this.digit = digit;
    if (digit === undefined) delete document.body.dataset["digit"];
    else document.body.dataset["digit"] = String(digit);
    this.show();
  }

  /** Move until nothing moves any more. */
  show(): void {
    if (this.running) return;
    this.running = true;
    const frame = (now: number): void => {
      this.running = this.moveRing(now);
      this.running = this.moveTiles(now) || this.running;
      if (this.running) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  private moveRing(now: number): boolean {
    const { mood, aims } = this;
    if (this.ring.width !== Math.round(this.ring.clientWidth * Math.max(2, devicePixelRatio))) sharpen(this.ring);
    let moving = (mood.kind === "busy" && !calm()) || mood.kind === "listening";
    aims.forEach((aim, at) => {
      const share = at / aims.length;
      let wanted = aim;
      if (mood.kind === "busy") wanted = 0.15 + 0.45 * (0.5 + 0.5 * Math.cos(2 * Math.PI * (2 * share - now / 700))) ** 3;
      if (mood.kind === "idle") wanted = 0.2 + 0.16 * Math.sin(10 * Math.PI * share) * Math.sin(6 * Math.PI * share);
      const hue = this.digit === undefined ? this.rainbow(at) : (HUES[this.digit] as number);
      const turn = ((hue - (this.hues[at] as number) + 540) % 360) - 180;
      const step = calm() ? 1 : 0.22;
      const change = wanted - (this.levels[at] as number);
      this.levels[at] = (this.levels[at] as number) + step * change;
      this.hues[at] = (this.hues[at] as number) + step * turn;
      moving ||= Math.abs(change) > 0.004 || Math.abs(turn) > 1;
    });
    const progress = mood.kind === "sound" ? played(mood.samples) : undefined;
    drawRing(this.ring, this.levels, this.hues, !dark.matches, progress);
    return moving || progress !== undefined;
  }

  private moveTiles(now: number): boolean {
    if (!this.images) return false; // the style sheet makes noise flicker
    let moving = false;
    this.tiles.forEach((tile, at) => {
      const passed = (now - this.since - at * APART) / REVEAL;
      const image = (this.images as Float32Array).subarray(at * SIZE * SIZE, (at + 1) * SIZE * SIZE);
      const share = calm() ? 1 : Math.min(1, Math.max(0, passed)) ** 0.7;
      if (share === 1 && tile.dataset["done"] === String(this.since)) return;
      if (share === 1) tile.dataset["done"] = String(this.since);
      else moving = true;
      const noise = this.noise[at] as Float32Array;
      drawInk(tile, image.map((value, pixel) => share * value + (1 - share) * (noise[pixel] as number)));
    });
    return moving;
  }

  private rainbow(at: number): number {
    return (360 * at) / this.levels.length + 20;
  }
}
