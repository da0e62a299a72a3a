import type { Schema } from "@/client/api";

type Detection = Pick<Schema["Detection"], "faces" | "image" | "refusal">;
type Face = Schema["DetectedFace"];

/** How a person should stand before the camera, one view after the other. */
export const VIEWS = ["straight", "left", "right"] as const;
export type View = (typeof VIEWS)[number];

/** What to say; `good` is the moment to take the picture. */
export type Hint =
  | "nobody"
  | "alone"
  | "closer"
  | "back"
  | "inside"
  | "light"
  | "glare"
  | "softer"
  | "look"
  | "left"
  | "right"
  | "lessTurned"
  | "uncover"
  | "still"
  | "good";

/** Part of the picture that a face must fill, in the direction in which it fills more, and may. */
const CLOSE = 0.24;
const TOO_CLOSE = 0.8;
/** Degrees. In the tests' portraits someone who looks into the camera has at most 10. */
const STRAIGHT = 10;
const TURNED = 11;
const TOO_TURNED = 33;
const TOO_LOW = 28;
const TOO_HIGH = 20;
/** Quality, 0–100, of a picture worth taking. */
const GOOD = 60;
const GOOD_TURNED = 50;

/** What the person should do next, the most important first. */
export function guide(detection: Detection, view: View): Hint {
  const face = largest(detection.faces);
  if (face === null) return "nobody";
  if (detection.refusal?.code === "MULTIPLE_FACES") return "alone";
  const issues = new Set(face.quality.issues);
  const size = Math.max(face.box.width / detection.image.width, face.box.height / detection.image.height);
  if (issues.has("NO_CLEAR_FACE")) return "look";
  if (size > TOO_CLOSE) return "back";
  if (issues.has("CUT_OFF")) return "inside";
  if (size < CLOSE || issues.has("TOO_SMALL")) return "closer";
  if (issues.has("TOO_DARK")) return "light";
  if (issues.has("TOO_BRIGHT")) return "glare";
  const turn = turning(face, view);
  if (turn !== null) return turn;
  if (issues.has("LOW_CONTRAST")) return "softer";
  if (issues.has("BLURRED")) return "still";
  if (issues.has("OCCLUDED")) return "uncover";
  if (face.quality.score < (view === "straight" ? GOOD : GOOD_TURNED)) return "still";
  return "good";
}

function turning({ pose }: Face, view: View): Hint | null {
  if (pose.pitch > TOO_LOW || pose.pitch < -TOO_HIGH) return "look";
  if (view === "straight") return Math.abs(pose.yaw) > STRAIGHT ? "look" : null;
  const turned = view === "left" ? pose.yaw : -pose.yaw;
  if (turned < TURNED) return view;
  return turned > TOO_TURNED ? "lessTurned" : null;
}

function largest(faces: readonly Face[]): Face | null {
  const area = ({ box }: Face) => box.width * box.height;
  return faces.reduce<Face | null>((most, face) => (most === null || area(face) > area(most) ? face : most), null);
}

/** The hints of the last frames, and what follows from them. */
export interface Watch {
  /** What to say: it changes only when two frames agree, so that words do not flicker. */
  said: Hint | null;
  last: Hint | null;
  good: number;
}

export const WATCHING: Watch = { said: null, last: null, good: 0 };
const STEADY = 3;

export function watch(before: Watch, hint: Hint): Watch {
  const said = before.said === null || hint === before.last ? hint : before.said;
  return { said, last: hint, good: hint === "good" ? before.good + 1 : 0 };
}

/** Good for long enough: the picture is taken by itself. */
export function isSteady(state: Watch): boolean {
  return state.good >= STEADY;
}
