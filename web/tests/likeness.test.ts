import { expect, test } from "vitest";
import { keyOf, nextToCompare, oddOf } from "@/features/add/likeness";
import { judged, type Picture } from "@/features/add/queue";

const picture = (id: number, chosen: number | null = null): Picture => ({
  id,
  name: `${id}.jpg`,
  size: id,
  content: new Blob(),
  url: "",
  state: "good",
  code: null,
  issues: [],
  choice: null,
  chosen,
});

/** Compare until nothing is left to compare; how often that took a look, and who is odd. */
function compare(queue: readonly Picture[], isSame: (a: number, b: number) => boolean, toPerson = false) {
  const compared = new Map<string, boolean>();
  for (let next = nextToCompare(queue, toPerson, compared); next !== null; ) {
    const [one, other] = next;
    compared.set(keyOf(one, other), isSame(one.id, other?.id ?? 0));
    next = nextToCompare(queue, toPerson, compared);
  }
  return { looks: compared.size, odd: [...oddOf(queue, toPerson, compared)] };
}

const pictures = [1, 2, 3, 4, 5].map((id) => picture(id));

test("one stranger among the photos is found, with few looks", () => {
  expect(compare(pictures, (a, b) => a !== 3 && b !== 3)).toEqual({ looks: 6, odd: [3] });
  expect(compare(pictures, (a, b) => a !== 1 && b !== 1).odd).toEqual([1]);
  expect(compare(pictures, () => true)).toEqual({ looks: 4, odd: [] });
});

test("of two that differ, both are asked about; one alone is not", () => {
  expect(compare(pictures.slice(0, 2), () => false)).toEqual({ looks: 1, odd: [1, 2] });
  expect(compare(pictures.slice(0, 1), () => false)).toEqual({ looks: 0, odd: [] });
});

test("photos of someone who is here already are compared with that person", () => {
  expect(compare(pictures.slice(0, 2), (a) => a !== 2, true)).toEqual({ looks: 2, odd: [2] });
});

test("another face of a photo is another pair", () => {
  expect(keyOf(picture(1, 0), picture(2))).not.toBe(keyOf(picture(1, 1), picture(2)));
  expect(keyOf(picture(1), picture(2))).toBe(keyOf(picture(2), picture(1)));
});

test.each([
  [["eyes above", 10, 10, 20, 30, 30], "TURNED_AWAY"],
  [["eyes below", 30, 30, 20, 10, 10], "UPSIDE_DOWN"],
] as const)("a face that cannot be used with its %s is told so", ([, ...heights], said) => {
  const landmarks = heights.map((y, x): [number, number] => [x, y]);
  const quality = { score: 5, issues: ["TURNED_AWAY" as const], advice: [] };
  const seen = { detection_score: 1, pose: { yaw: 0, pitch: 0 }, usable: false, stands_out: false };
  const face = { box: { x: 0, y: 0, width: 9, height: 9 }, landmarks, quality, ...seen };
  const refusal = { code: "FACE_NOT_USABLE", message: "" };
  const { state, code, issues } = judged({ image: { width: 9, height: 9 }, faces: [face], usable: false, refusal });
  expect(state).toBe("refused");
  expect(code === "UPSIDE_DOWN" ? code : issues[0]).toBe(said);
});
