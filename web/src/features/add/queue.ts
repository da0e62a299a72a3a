import type { Schema } from "@/client/api";
import type { Issue } from "@/features/people/quality-words";

type Detection = Pick<Schema["Detection"], "faces" | "usable" | "refusal">;
type Outcome = Schema["PhotoOutcome"];

/**
 * A picture on its way to a person: it waits, is looked at by the server, and is fit (`good`), fit but poor (`fair`),
 * or not (`refused`); then it is kept, or the server refuses it after all.
 */
export interface Picture {
  id: number;
  name: string;
  /** As chosen; `content` is what is sent. */
  size: number;
  content: Blob;
  /** Of the preview. */
  url: string;
  state: "waiting" | "checking" | "good" | "fair" | "refused" | "kept";
  /** Why it is not good. */
  code: string | null;
  issues: readonly Issue[];
}

export type Queue = readonly Picture[];

/** Pictures of a request, at most: the server's limit. */
const BATCH = 10;
const AT_ONCE = 2;
/** Quality, 0–100, from which nothing needs to be said. */
const GOOD = 40;

/** Those of some files that are not in the queue yet. */
export function newFiles(queue: Queue, files: readonly File[]): File[] {
  const known = new Set(queue.map((picture) => `${picture.name} ${picture.size}`));
  return files.filter((file) => {
    const key = `${file.name} ${file.size}`;
    return !known.has(key) && known.add(key);
  });
}

export function change(queue: Queue, id: number, changes: Partial<Picture>): Queue {
  return queue.map((picture) => (picture.id === id ? { ...picture, ...changes } : picture));
}

/** Which to look at now: a few at a time, in order. */
export function nextToCheck(queue: Queue): Queue {
  const free = AT_ONCE - queue.filter((picture) => picture.state === "checking").length;
  return queue.filter((picture) => picture.state === "waiting").slice(0, Math.max(free, 0));
}

/** What the server's look at a picture means for it. */
export function judged(detection: Detection): Pick<Picture, "state" | "code" | "issues"> {
  const area = ({ box }: Schema["Face"]) => box.width * box.height;
  const [face] = [...detection.faces].sort((a, b) => area(b) - area(a));
  const issues = face?.quality.issues ?? [];
  if (!detection.usable)
    return { state: "refused", code: detection.refusal?.code ?? null, issues: several(detection) ? [] : issues };
  const fair = issues.length > 0 || (face?.quality.score ?? 0) < GOOD;
  return { state: fair ? "fair" : "good", code: null, issues };
}

function several(detection: Detection): boolean {
  return detection.refusal?.code === "MULTIPLE_FACES";
}

/** Those that can be sent. */
export function fitOf(queue: Queue): Queue {
  return queue.filter((picture) => picture.state === "good" || picture.state === "fair");
}

export function isChecking(queue: Queue): boolean {
  return queue.some((picture) => picture.state === "waiting" || picture.state === "checking");
}

/** The fit ones, in requests. */
export function batches(queue: Queue): Queue[] {
  const pictures = fitOf(queue);
  return Array.from({ length: Math.ceil(pictures.length / BATCH) }, (_, n) =>
    pictures.slice(n * BATCH, (n + 1) * BATCH),
  );
}

/** After a request: what became of each of its pictures, in order. */
export function settle(queue: Queue, batch: Queue, outcomes: readonly Outcome[]): Queue {
  return batch.reduce((all, picture, index) => {
    const outcome = outcomes[index];
    if (outcome === undefined) return all;
    const kept = outcome.status === "accepted";
    return change(all, picture.id, kept ? { state: "kept" } : { state: "refused", code: outcome.code ?? null });
  }, queue);
}
