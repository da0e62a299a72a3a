import { expect, test } from "vitest";
import type { Schema } from "@/client/api";
import { guide, isSteady, type View, WATCHING, watch } from "@/features/add/guidance";

type Face = Schema["DetectedFace"];
type Issue = Schema["Issue"];

const face = (
  changes: Partial<{ yaw: number; pitch: number; score: number; issues: Issue[]; size: number }> = {},
) => {
  const { yaw = 0, pitch = 8, score = 90, issues = [], size = 200 } = changes;
  return {
    box: { x: 200, y: 100, width: size, height: size * 1.1 },
    landmarks: [],
    detection_score: 0.99,
    quality: { score, issues, advice: [] },
    pose: { yaw, pitch },
    usable: true,
    stands_out: true,
  } satisfies Face;
};
const seen = (faces: Face[], code: string | null = null) => ({
  faces,
  image: { width: 640, height: 480 },
  refusal: code === null ? null : { code, message: "" },
});

test.each<[string, View, Parameters<typeof face>[0], string]>([
  ["looks into the camera", "straight", {}, "good"],
  ["is far away", "straight", { size: 90 }, "closer"],
  ["is too near", "straight", { size: 420 }, "back"],
  ["is half outside", "straight", { issues: ["CUT_OFF"] }, "inside"],
  ["sits in the dark", "straight", { issues: ["TOO_DARK", "BLURRED"], score: 30 }, "light"],
  ["has a lamp on the face", "straight", { issues: ["TOO_BRIGHT"] }, "glare"],
  ["moves", "straight", { issues: ["BLURRED"] }, "still"],
  ["wears sunglasses", "straight", { issues: ["OCCLUDED"], score: 45 }, "uncover"],
  ["holds a hand before the face", "straight", { issues: ["NO_CLEAR_FACE"], score: 0, size: 420 }, "look"],
  ["looks aside", "straight", { yaw: -15 }, "look"],
  ["looks down", "straight", { pitch: 35 }, "look"],
  ["still looks straight", "left", {}, "left"],
  ["turned the other way", "left", { yaw: -20 }, "left"],
  ["turned left", "left", { yaw: 20 }, "good"],
  ["turned too far", "left", { yaw: 40, issues: ["TURNED_AWAY"] }, "lessTurned"],
  ["still looks straight", "right", {}, "right"],
  ["turned right", "right", { yaw: -20 }, "good"],
])("who %s (%s) is told the one thing that helps", (_, view, changes, hint) => {
  expect(guide(seen([face(changes)]), view)).toBe(hint);
});

test("nobody, and two at once", () => {
  expect(guide(seen([]), "straight")).toBe("nobody");
  expect(guide(seen([face(), face()], "MULTIPLE_FACES"), "straight")).toBe("alone");
});

test("someone far behind does not matter", () => {
  expect(guide(seen([face({ size: 40, issues: ["TOO_SMALL"] }), face()]), "straight")).toBe("good");
});

test("words change only when two frames agree, and a picture needs three good ones in a row", () => {
  let state = watch(WATCHING, "closer");
  expect(state.said).toBe("closer");
  state = watch(state, "still");
  expect(state.said).toBe("closer");
  state = watch(state, "still");
  expect(state.said).toBe("still");
  for (const hint of ["good", "good", "still", "good", "good"] as const) {
    state = watch(state, hint);
    expect(isSteady(state)).toBe(false);
  }
  expect(isSteady(watch(state, "good"))).toBe(true);
});
