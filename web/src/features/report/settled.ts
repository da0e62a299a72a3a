import { createStore, useStore } from "@/lib/store";

/*
 * What someone looked at and found right: two people who only look alike, a photo that is right though it does not
 * fit. Kept on this device by ids; the server has no place for it, and it changes nothing about recognition.
 */
const KEY = "visage.settled";

const settled = createStore<ReadonlySet<string>>(new Set(read()));

/** The name of a pair, whichever comes first. */
export function pairOf(a: string, b: string): string {
  return [a, b].sort().join(" ");
}

export function settle(key: string): void {
  keep(new Set(settled.get()).add(key));
}

export function unsettle(key: string): void {
  keep(new Set([...settled.get()].filter((other) => other !== key)));
}

export function useSettled(): ReadonlySet<string> {
  return useStore(settled);
}

function keep(keys: ReadonlySet<string>): void {
  settled.set(keys);
  try {
    localStorage.setItem(KEY, JSON.stringify([...keys]));
  } catch {
    // It is asked again next time.
  }
}

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((key) => typeof key === "string") : [];
  } catch {
    return [];
  }
}
