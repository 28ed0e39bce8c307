/** Elements of the page, and the line that tells what happens. */

import { BadSound } from "./sound";

export function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`#${id} is missing`);
  return found as T;
}

export const input = (id: string): HTMLInputElement => find<HTMLInputElement>(id);
export const select = (id: string): HTMLSelectElement => find<HTMLSelectElement>(id);
export const canvas = (id: string): HTMLCanvasElement => find<HTMLCanvasElement>(id);

/** Show a sentence where everybody sees it and screen readers read it. */
export const tell = (sentence: string): void => {
  find("status").textContent = sentence;
};

export const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Tell what went wrong in one sentence; the page goes on. */
export function excuse(error: unknown): void {
  tell(error instanceof BadSound ? error.message : `That did not work (${describe(error)}); try it again.`);
}

/** Do something when a button is pressed. */
export function on(id: string, action: () => void | Promise<void>): void {
  find(id).onclick = (): void => attempt(action);
}

/** Do something, and tell where it goes wrong. */
export function attempt(action: () => void | Promise<void>): void {
  void (async () => action())().catch(excuse);
}

/** A handler that runs one call at a time, and after it only the latest that came meanwhile. */
export function latest(action: () => Promise<void>): () => void {
  let busy = false;
  let again = false;
  const go = async (): Promise<void> => {
    again = busy;
    if (busy) return;
    busy = true;
    await action().catch(excuse);
    busy = false;
    if (again) await go();
  };
  return () => void go();
}
