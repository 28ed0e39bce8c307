/** The section with the map of the prior. */

import { canvas, find, input } from "./dom";
import type { Manifest } from "./manifest";
import { drawPoint } from "./pictures";
import { Place } from "./place";
import type { Voice } from "./voice";

export class PriorMap {
  private readonly place: Place;

  constructor(
    private readonly manifest: Manifest,
    voice: Voice,
  ) {
    const where = (): string => this.point().join();
    this.place = new Place("mapped", voice, manifest.sampleRate, where, async () => this.latent());
    for (const id of ["across", "up"]) {
      input(id).oninput = (): void => {
        this.show();
        this.place.go();
      };
    }
    const pad = canvas("pad");
    const drag = (event: PointerEvent): void => {
      if (event.buttons === 0) return;
      pad.setPointerCapture(event.pointerId);
      const box = pad.getBoundingClientRect();
      input("across").value = String(Math.round(200 * ((event.clientX - box.left) / box.width) - 100));
      input("up").value = String(Math.round(100 - 200 * ((event.clientY - box.top) / box.height)));
      input("up").dispatchEvent(new Event("input"));
    };
    pad.onpointerdown = pad.onpointermove = drag;
  }

  /** Show the map, with the point at which the sliders are. */
  show(): void {
    find("map").hidden = false;
    for (const id of ["across", "up"]) find(`${id}-value`).textContent = input(id).value;
    drawPoint(canvas("pad"), ...this.point());
  }

  private point(): [number, number] {
    return [Number(input("across").value) / 100, Number(input("up").value) / 100];
  }

  private latent(): Float32Array {
    const [across, up] = this.point();
    const [x, y] = this.manifest.map;
    return Float32Array.from(x, (each, at) => across * each + up * (y[at] ?? 0));
  }
}
