import { createStore, useStore } from "@/lib/store";

/** Whether the server is there: `starting` while it loads, `lost` when it does not answer. */
export type ConnectionState = "ok" | "starting" | "lost";

const QUIET_MS = 10_000;
const ANXIOUS_MS = 1_000;
const PATIENCE_MS = 4_000;

const state = createStore<ConnectionState>("ok");
const listeners = { back: new Set<() => void>(), doubt: new Set<(known: boolean | null) => void>() };
const waiting: (() => void)[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
let asking = false;

/** The one place that knows whether the server answers. */
export const connection = {
  state,
  /** Look after it from now on: now and then while all is well, every second while it is not. */
  start(): void {
    addEventListener("online", connection.check);
    addEventListener("offline", connection.check);
    document.addEventListener("visibilitychange", connection.check);
    connection.check();
  },
  /** Something failed, or may work again: ask now. */
  check(): void {
    if (typeof document !== "undefined" && document.hidden) return;
    if (!asking) void ask();
  },
  /** Called whenever the server is there again; returns what ends that. */
  onBack(listener: () => void): () => void {
    listeners.back.add(listener);
    return () => listeners.back.delete(listener);
  },
  /** Resolves once the server answers again: asks now, and for as long as it takes. */
  answers(): Promise<void> {
    return new Promise((resolve) => {
      waiting.push(resolve);
      connection.check();
    });
  },
  /**
   * Called with whether the server knows who asks, now and then, and with null when it refused what the page took for
   * allowed: the session may have begun or ended, here or by another's hand. Returns what ends that.
   */
  onDoubt(listener: (known: boolean | null) => void): () => void {
    listeners.doubt.add(listener);
    return () => listeners.doubt.delete(listener);
  },
  /** The server refused something. */
  doubt(known: boolean | null = null): void {
    for (const listener of listeners.doubt) listener(known);
  },
};

export function useConnection(): ConnectionState {
  return useStore(state);
}

async function ask(): Promise<void> {
  asking = true;
  clearTimeout(timer);
  const before = state.get();
  const now = await health();
  asking = false;
  state.set(now);
  if (now !== "lost") for (const resolve of waiting.splice(0)) resolve();
  if (now === "ok" && before !== "ok") for (const listener of listeners.back) listener();
  timer = setTimeout(connection.check, now === "ok" ? QUIET_MS : ANXIOUS_MS);
}

async function health(): Promise<ConnectionState> {
  try {
    const reply = await fetch("/api/v1/health", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (reply.status === 503) return "starting";
    // Only to whom it knows does the server tell its version: a key that was taken away is noticed on a screen at rest.
    if (reply.ok) connection.doubt((await reply.json()).data.version !== undefined);
    return "ok";
  } catch {
    return "lost";
  }
}
