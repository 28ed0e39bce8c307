/** Elements of the page, and what happens when something is pressed or goes wrong. */

import { BadSound } from "./sound";
import { headline } from "./stage";

export function find<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`#${id} is missing`);
  return found as T;
}

export const input = (id: string): HTMLInputElement => find<HTMLInputElement>(id);
export const canvas = (id: string): HTMLCanvasElement => find<HTMLCanvasElement>(id);
export const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Tell what went wrong in one sentence; the page goes on. What was superseded did not go wrong. */
export function excuse(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  headline(error instanceof BadSound ? error.message : `That did not work (${describe(error)}). Try it again.`);
  find("status").scrollIntoView({ block: "nearest" });
}

/** Do something, and tell where it goes wrong. */
export function attempt(action: () => void | Promise<void>): void {
  void (async () => action())().catch(excuse);
}

/** Do something when a button is pressed. */
export function on(id: string, action: () => void | Promise<void>): void {
  find(id).onclick = (): void => attempt(action);
}

/** Requests of one kind: a new one supersedes those before it, as does the end of what they are a part of. */
export function requests(whole?: () => AbortSignal): () => AbortSignal {
  let newest = new AbortController();
  return () => {
    newest.abort();
    newest = new AbortController();
    return whole ? AbortSignal.any([whole(), newest.signal]) : newest.signal;
  };
}
