import { createStore, useStore } from "./store";

/*
 * What the server cannot take back (removing a photo, dismissing a face, taking a key away) is held here while it can
 * be undone: the page shows it as done, and sends it when the time is over, or when the page is closed.
 */
type Held = ReadonlyMap<string, () => Promise<unknown>>;

/** After that the lists that were asked for anew are drawn. */
const DRAWN_MS = 500;

const held = createStore<Held>(new Map());

/** Hold something back. */
export function hold(key: string, run: () => Promise<unknown>): void {
  held.set(new Map(held.get()).set(key, run));
}

/** Undone: it will not be. */
export function drop(key: string): void {
  const rest = new Map(held.get());
  rest.delete(key);
  held.set(rest);
}

/** The time is over: do it. It counts as held until it is done, so that nothing comes back for a moment. */
export async function release(key: string): Promise<void> {
  const run = held.get().get(key);
  if (run === undefined) return;
  hold(key, async () => {}); // once, also when the page closes meanwhile
  try {
    await run();
  } catch (error) {
    drop(key);
    throw error;
  }
  setTimeout(() => drop(key), DRAWN_MS);
}

/** The page closes: do all of it now. */
export function releaseAll(): Promise<unknown> {
  return Promise.allSettled([...held.get().keys()].map(release));
}

/** Whether something is held; the list that shows it leaves it out. */
export function useHeld(): (key: string) => boolean {
  const all = useStore(held);
  return (key) => all.has(key);
}

if (typeof addEventListener === "function") addEventListener("pagehide", () => void releaseAll());
