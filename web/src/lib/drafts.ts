import { createStore, useStore } from "./store";

/*
 * What someone wrote and has not saved: it stays while the page is open, wherever one goes meanwhile. Kept in memory
 * only, since it is about people; closing the page asks first.
 */
const drafts = createStore<ReadonlyMap<string, unknown>>(new Map());

/** A draft, null where there is none, and the way to change it; null ends it. The type belongs to the key. */
export function useDraft<T>(key: string): [T | null, (draft: T | null) => void] {
  const all = useStore(drafts);
  return [(all.get(key) as T | undefined) ?? null, (draft) => changeDraft<T>(key, () => draft)];
}

/** Change a draft, also while nobody looks at it. */
export function changeDraft<T>(key: string, change: (before: T | null) => T | null): void {
  const next = new Map(drafts.get());
  const draft = change((next.get(key) as T | undefined) ?? null);
  if (draft === null) next.delete(key);
  else next.set(key, draft);
  drafts.set(next);
}

/** Whoever wrote them may not look at the page any more. */
export function clearDrafts(): void {
  drafts.set(new Map());
}

if (typeof addEventListener === "function")
  addEventListener("beforeunload", (event) => drafts.get().size > 0 && event.preventDefault());
