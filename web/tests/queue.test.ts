import { expect, test } from "vitest";
import type { Schema } from "@/client/api";
import {
  batches,
  boxesOf,
  change,
  choose,
  fitOf,
  isChecking,
  judged,
  newFiles,
  nextToCheck,
  type Picture,
  settle,
  standing,
} from "@/features/add/queue";

const picture = (id: number, state: Picture["state"]): Picture => ({
  id,
  name: `${id}.jpg`,
  size: id,
  content: new Blob(),
  url: "",
  state,
  code: null,
  issues: [],
  choice: null,
  chosen: null,
});
type Face = Schema["DetectedFace"];
const face = (size: number, score: number, issues: Schema["Issue"][] = [], more: Partial<Face> = {}): Face => ({
  box: { x: 0, y: 0, width: size, height: size },
  landmarks: [],
  detection_score: 1,
  quality: { score, issues, advice: [] },
  pose: { yaw: 0, pitch: 0 },
  usable: score >= 20,
  stands_out: false,
  ...more,
});
const image = { width: 640, height: 480 };

test("a file that is there already is not taken twice", () => {
  const file = (name: string, bytes: string) => new File([bytes], name);
  const queue = [{ ...picture(1, "good"), name: "a.jpg", size: 3 }];
  const files = [file("a.jpg", "abc"), file("a.jpg", "abcd"), file("b.jpg", "abc"), file("b.jpg", "abc")];
  expect(newFiles(queue, files).map(({ name, size }) => `${name} ${size}`)).toEqual(["a.jpg 4", "b.jpg 3"]);
});

test("two are looked at at once, in order", () => {
  let queue = [1, 2, 3, 4].map((id) => picture(id, "waiting"));
  expect(nextToCheck(queue).map(({ id }) => id)).toEqual([1, 2]);
  queue = [...change(queue, 1, { state: "checking" })];
  expect(nextToCheck(queue).map(({ id }) => id)).toEqual([2]);
  queue = [...change(queue, 2, { state: "checking" })];
  expect(nextToCheck(queue)).toEqual([]);
  expect(isChecking(queue)).toBe(true);
});

test("what the server sees in a picture is what is said about it", () => {
  const it = { stands_out: true };
  const fine = { image, faces: [face(10, 80, [], it)], usable: true, refusal: null };
  const nobody = { choice: null, chosen: null };
  expect(judged(fine)).toEqual({ state: "good", code: null, issues: [], ...nobody });
  expect(judged({ ...fine, faces: [face(10, 80, ["BLURRED"], it)] })).toMatchObject({
    state: "fair",
    issues: ["BLURRED"],
  });
  expect(judged({ ...fine, faces: [face(10, 30, [], it)] })).toMatchObject({ state: "fair" });
  expect(judged({ ...fine, faces: [face(2, 10, ["TOO_SMALL"]), face(10, 80, [], it)] })).toMatchObject({
    state: "good",
    choice: null,
  });
  const refused = (code: string, faces: Face[]) =>
    judged({ image, faces, usable: false, refusal: { code, message: "" } });
  expect(refused("NO_FACE_DETECTED", [])).toEqual({
    state: "refused",
    code: "NO_FACE_DETECTED",
    issues: [],
    ...nobody,
  });
  expect(refused("FACE_NOT_USABLE", [face(10, 5, ["TOO_DARK"])])).toMatchObject({ issues: ["TOO_DARK"] });
});

test("of a picture of several people one is chosen, and its box is sent", () => {
  const at = (x: number, more: Partial<Face> = {}) =>
    face(10, 80, [], { box: { x, y: 0, width: 10, height: 10 }, ...more });
  const refusal = { code: "MULTIPLE_FACES", message: "" };
  const faces = [at(300), at(100), face(50, 10), at(200)];
  const group = { ...picture(1, "checking"), ...judged({ image, faces, usable: false, refusal }) };
  expect(group).toMatchObject({ state: "choose", chosen: null });
  expect(group.choice?.faces.map(({ box }) => box.x)).toEqual([100, 200, 300]);
  expect(fitOf([group])).toEqual([]);
  const queue = choose([group, picture(2, "good")], 1, 2);
  expect(queue[0]).toMatchObject({ state: "good", chosen: 2 });
  expect(boxesOf(queue)).toEqual([{ x: 300, y: 0, width: 10, height: 10 }, null]);
  const couple = judged({ image, faces: [at(300), at(100, { stands_out: true })], usable: true, refusal: null });
  expect(couple).toMatchObject({ state: "good", chosen: null });
  expect(couple.choice && standing(couple.choice)).toBe(0);
  expect(boxesOf([{ ...picture(1, "good"), ...couple }])).toEqual([null]); // the server may know the other by name
});

test("the fit ones are sent, ten a request, and each learns what became of it", () => {
  const queue = [
    picture(0, "refused"),
    ...Array.from({ length: 12 }, (_, n) => picture(n + 1, n % 2 ? "good" : "fair")),
  ];
  const sent = batches(queue);
  expect(sent.map((batch) => batch.length)).toEqual([10, 2]);
  const outcome = (status: "accepted" | "rejected", code: string | null = null) =>
    ({ status, code }) as Schema["PhotoOutcome"];
  const after = settle(queue, sent[1] ?? [], [outcome("accepted"), outcome("rejected", "FACE_NOT_USABLE")]);
  expect(after.at(-2)).toMatchObject({ state: "kept" });
  expect(after.at(-1)).toMatchObject({ state: "refused", code: "FACE_NOT_USABLE" });
  expect(fitOf(after)).toHaveLength(10);
});
