/** The map: sounds that were chosen when the page was built, and what lies between them. */

import { canvas, find, input } from "./dom";
import { asset } from "./engine";
import { drawInk, sharpen } from "./pictures";

/** What `prepare.py` writes of the sounds, row by row from the top. */
interface Places {
  size: number; // rows, and columns
  scale: number; // by which latents were multiplied
  words: string[];
  latents: number[][];
  conditions: number[][]; // as the drawer finds them of a recording
  drawings: number[][]; // 0 to 255
}

export class SoundMap {
  private places: Places | undefined;
  private loading: Promise<Places> | undefined;
  private voice: [number, number] | undefined; // where the visitor's sound lies
  private condition: Float32Array | undefined;

  /** `onMove` is told that the point has moved, and whether the visitor let it go. */
  constructor(onMove: (aloud: boolean) => void) {
    for (const id of ["across", "up"]) {
      input(id).oninput = (): void => {
        this.draw();
        onMove(false);
      };
      input(id).onchange = (): void => onMove(true);
    }
    const pad = find("pad");
    const drag = (event: PointerEvent): void => {
      if (event.buttons === 0) return;
      pad.setPointerCapture(event.pointerId);
      const box = pad.getBoundingClientRect();
      input("across").value = String(Math.round(200 * ((event.clientX - box.left) / box.width) - 100));
      input("up").value = String(Math.round(100 - 200 * ((event.clientY - box.top) / box.height)));
      input("up").dispatchEvent(new Event("input"));
    };
    pad.onpointerdown = pad.onpointermove = drag;
    pad.onpointerup = (): void => onMove(true);
  }

  /** The latent of the point: that of the four places around it, mixed as normal numbers are. */
  async latent(): Promise<Float32Array> {
    const { size, scale, latents } = await this.load();
    const [left, top] = this.point().map((each) => Math.min(size - 1, Math.max(0, size * each - 0.5))) as [number, number];
    const mixed = new Float32Array(latents[0]?.length ?? 0);
    let power = 0;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const weight = Math.max(0, 1 - Math.abs(row - top)) * Math.max(0, 1 - Math.abs(column - left));
        if (weight === 0) continue;
        power += weight ** 2;
        latents[row * size + column]?.forEach((each, at) => (mixed[at] = (mixed[at] ?? 0) + weight * each));
      }
    }
    return mixed.map((each) => each / (scale * Math.sqrt(power)));
  }

  /** Mark where a sound lies, by its condition; without one, mark nothing. */
  mark(condition: Float32Array | undefined): void {
    this.condition = condition;
    this.locate();
  }

  private async load(): Promise<Places> {
    this.loading ??= fetch(asset("map.json")).then((answer) => answer.json() as Promise<Places>);
    this.loading.catch(() => (this.loading = undefined)); // so that the next visitor's move tries again
    return (this.places = await this.loading);
  }

  /** Show thumbnails, words, the point and the dot. */
  async show(): Promise<void> {
    const fresh = !this.places;
    const { words, drawings } = await this.load();
    if (fresh) {
      const tiles = words.map((word, at) => {
        const [tile, thumbnail, label] = ["figure", "canvas", "figcaption"].map((name) => document.createElement(name));
        drawInk(thumbnail as HTMLCanvasElement, Float32Array.from(drawings[at] ?? [], (each) => each / 255));
        (label as HTMLElement).textContent = word;
        (tile as HTMLElement).append(thumbnail as HTMLElement, label as HTMLElement);
        return tile as HTMLElement;
      });
      find("pad").prepend(...tiles);
    }
    this.locate();
  }

  /** The dot lies between the place that is most alike and its neighbours. */
  private locate(): void {
    const { places, condition } = this;
    this.voice = undefined;
    if (places && condition) {
      const alike = places.conditions.map((each) => likeness(each, condition));
      const most = alike.indexOf(Math.max(...alike));
      const at = (place: number): [number, number] => [place % places.size, Math.floor(place / places.size)];
      const [left, top] = at(most);
      let [x, y, sum] = [0, 0, 0];
      alike.forEach((each, place) => {
        const [column, row] = at(place);
        if (Math.max(Math.abs(column - left), Math.abs(row - top)) > 1) return;
        const weight = Math.exp(12 * (each - (alike[most] as number)));
        [x, y, sum] = [x + weight * column, y + weight * row, sum + weight];
      });
      this.voice = [(x / sum + 0.5) / places.size, (y / sum + 0.5) / places.size];
    }
    find("pad").dataset["voice"] = this.voice?.map((each) => each.toFixed(2)).join(" ") ?? "";
    this.draw();
  }

  /** The point, from the left and from the top, in [0, 1]. */
  private point(): [number, number] {
    return [(Number(input("across").value) + 100) / 200, (100 - Number(input("up").value)) / 200];
  }

  private draw(): void {
    for (const id of ["across", "up"]) find(`${id}-value`).textContent = input(id).value;
    const above = canvas("places");
    sharpen(above);
    const context = above.getContext("2d");
    if (!context) return;
    const { width, height } = above;
    context.fillStyle = context.strokeStyle = getComputedStyle(above).color;
    context.lineWidth = width / 100;
    const circle = ([x, y]: [number, number], radius: number): void => {
      context.beginPath();
      context.arc(x * width, y * height, radius * width, 0, 2 * Math.PI);
    };
    circle(this.point(), 0.035);
    context.stroke();
    if (!this.voice) return;
    circle(this.voice, 0.018);
    context.fill();
  }
}

/** The cosine of two vectors. */
function likeness(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let [both, first, second] = [0, 1e-12, 1e-12];
  for (let at = 0; at < one.length; at++) {
    const [a, b] = [one[at] as number, other[at] as number];
    [both, first, second] = [both + a * b, first + a * a, second + b * b];
  }
  return both / Math.sqrt(first * second);
}

