import type { Schema } from "@/client/api";
import type { Issue } from "@/features/people/quality-words";

type Detection = Pick<Schema["Detection"], "faces" | "image" | "usable" | "refusal">;
type Face = Pick<Schema["DetectedFace"], "box" | "landmarks" | "quality" | "usable" | "stands_out">;
type Outcome = Schema["PhotoOutcome"];

/**
 * A picture on its way to a person: it waits, is looked at by the server, and is fit (`good`), fit but poor (`fair`),
 * or not (`refused`); or it shows several people, and someone must say which one is meant (`choose`). Then it is kept,
 * or the server refuses it after all.
 */
export interface Picture {
  id: number;
  name: string;
  /** As chosen; `content` is what is sent. */
  size: number;
  content: Blob;
  /** Of the preview. */
  url: string;
  state: "waiting" | "checking" | "good" | "fair" | "refused" | "choose" | "kept";
  /** Why it is not good. */
  code: string | null;
  issues: readonly Issue[];
  /** Whom it shows, where there are several to choose from. */
  choice: Choice | null;
  /** Which of them was chosen, by hand. */
  chosen: number | null;
}

/** The faces of a picture that could be remembered, from left to right. */
export interface Choice {
  image: Schema["ImageSize"];
  faces: readonly Face[];
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
export function judged(detection: Detection): Pick<Picture, "state" | "code" | "issues" | "choice" | "chosen"> {
  const faces = detection.faces.filter((face) => face.usable).sort((a, b) => a.box.x - b.box.x);
  const several = faces.length > 1 || (faces.length === 1 && !detection.usable);
  const choice = several ? { image: detection.image, faces } : null;
  const face = detection.faces.find((each) => each.stands_out);
  if (face !== undefined) return { ...gradeOf(face), choice, chosen: null };
  if (choice !== null) return { state: "choose", code: null, issues: [], choice, chosen: null };
  const area = ({ box }: Face) => box.width * box.height;
  const [largest] = [...detection.faces].sort((a, b) => area(b) - area(a));
  const issues = largest?.quality.issues ?? [];
  const turned = largest !== undefined && isUpsideDown(largest);
  return {
    state: "refused",
    code: turned ? "UPSIDE_DOWN" : (detection.refusal?.code ?? null),
    issues,
    choice,
    chosen: null,
  };
}

function gradeOf(face: Face): Pick<Picture, "state" | "code" | "issues"> {
  const { issues, score } = face.quality;
  if (issues.length === 0 && score >= GOOD) return { state: "good", code: null, issues };
  return { state: "fair", code: isUpsideDown(face) ? "UPSIDE_DOWN" : null, issues };
}

/** The eyes are lower in the picture than the mouth: that it is turned away would be the wrong advice. */
function isUpsideDown({ landmarks }: Face): boolean {
  const [eye, otherEye, , corner, otherCorner] = landmarks.map(([, y]) => y);
  if (eye === undefined || otherEye === undefined || corner === undefined || otherCorner === undefined) return false;
  return eye + otherEye > corner + otherCorner;
}

/** Someone says which face of a picture is meant. */
export function choose(queue: Queue, id: number, chosen: number): Queue {
  const face = queue.find((picture) => picture.id === id)?.choice?.faces[chosen];
  return face === undefined ? queue : change(queue, id, { ...gradeOf(face), chosen });
}

/** Which face the server would take by itself, where nobody is known by the name. */
export function standing({ faces }: Choice): number | null {
  const place = faces.findIndex((face) => face.stands_out);
  return place === -1 ? null : place;
}

/** Where the chosen face of each picture is; null where nobody chose. */
export function boxesOf(queue: Queue): (Schema["Box"] | null)[] {
  return queue.map(({ choice, chosen }) => (chosen === null ? null : (choice?.faces[chosen]?.box ?? null)));
}

/** Those that can be sent. */
export function fitOf(queue: Queue): Queue {
  return queue.filter((picture) => picture.state === "good" || picture.state === "fair");
}

export function isChecking(queue: Queue): boolean {
  return queue.some((picture) => picture.state === "waiting" || picture.state === "checking");
}

/** Someone must say first who is meant. */
export function isAsking(queue: Queue): boolean {
  return queue.some((picture) => picture.state === "choose");
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
