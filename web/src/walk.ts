/** The section that walks between the latents of two recordings. */

import { find, input, select } from "./dom";
import { between } from "./noise";
import { Place } from "./place";
import type { Turns } from "./turns";
import type { Heard, Voice } from "./voice";

export class Walk {
  private readonly recordings: Heard[] = [];
  private readonly place: Place;

  constructor(
    private readonly voice: Voice,
    sampleRate: number,
    requests: Turns,
  ) {
    const ends = [select("from"), select("to")];
    const where = (): string => [...ends, input("place")].map((each) => each.value).join();
    this.place = new Place("walked", voice, sampleRate, where, () => this.latent(), requests);
    for (const end of ends) {
      end.oninput = (): void => {
        this.place.leave();
        this.place.go();
      };
    }
    input("place").oninput = (): void => {
      this.tell();
      this.place.go();
    };
  }

  /** The name, with a number where an earlier recording has it. */
  unused(name: string): string {
    let found = name;
    for (let count = 2; this.recordings.some((each) => each.name === found); count++) found = `${name}-${count}`;
    return found;
  }

  /** Offer a recording as an end, and begin with the two newest ones. */
  offer(heard: Heard): void {
    const count = this.recordings.push(heard);
    for (const [at, end] of [select("from"), select("to")].entries()) {
      end.add(new Option(heard.name, String(count - 1)));
      end.value = String(Math.max(0, count - 2 + at));
    }
    find("walk").hidden = false;
    find("walk-hint").hidden = count > 1;
    find("walk-controls").hidden = count < 2;
    input("place").value = "0";
    this.place.leave();
    this.tell();
  }

  private tell(): void {
    find("place-value").textContent = `${input("place").value} %`;
  }

  private async latent(): Promise<Float32Array> {
    const share = Number(input("place").value) / 100;
    const [from, to] = [select("from"), select("to")].map((end) => this.recordings[Number(end.value)]);
    if (!from || !to) throw new Error("there are no two recordings");
    const [a, b] = [await this.voice.latentOf(from), await this.voice.latentOf(to)];
    return between(a, b, share);
  }
}
