import { describe, expect, test } from "vitest";
import type { IdentifiedFace } from "@/client/api";
import { activityOf, type Situation } from "@/features/live/activity";
import { announce, answer } from "@/features/live/announcement";
import { waitMs } from "@/features/live/backoff";
import { due, unsaid, withSaid } from "@/features/live/encounters";
import { focusOn } from "@/features/live/focus";
import { onStage, type Rect, sideOf } from "@/features/live/geometry";
import { glide, observe, predict } from "@/features/live/motion";
import { noteToShow, withNote } from "@/features/live/note";
import { FIRST_PACE, intervalMs, measured, sendSize } from "@/features/live/pace";
import {
  advance,
  doubt,
  everybody,
  type Hearsay,
  type Named,
  NOBODY,
  type Reply,
  type Seen,
  type Tracks,
  tell,
} from "@/features/live/scene";
import { steady, type Verdict, verdictOf } from "@/features/live/steadiness";
import { isCalled, matching } from "@/features/unknown/already-here";
import { teachingWords } from "@/features/unknown/teaching-words";
import german from "@/languages/de.json";
import english from "@/languages/en.json";
import type { Translate } from "@/lib/i18n";
import { translate } from "@/lib/i18n";

const inEnglish: Translate = (key, values) => translate(english, "en", key, values);
const inGerman: Translate = (key, values) => translate(german, "de", key, values);

const PETER = { person_id: "p", name: "Peter", relationship: "Your son", confidence: 0.9 };
const FRAME = { width: 1000, height: 500 };

function face(changes: Partial<IdentifiedFace> = {}): IdentifiedFace {
  return {
    box: { x: 100, y: 100, width: 100, height: 100 },
    landmarks: [],
    detection_score: 1,
    quality: { score: 90, issues: [], advice: [] },
    pose: { yaw: 0, pitch: 0 },
    track_id: 1,
    unknown_id: null,
    status: "unknown",
    match: null,
    candidates: [],
    ...changes,
  };
}

const known = (changes: Partial<IdentifiedFace> = {}) => face({ status: "known", match: PETER, ...changes });
const uncertain = face({ status: "uncertain", candidates: [{ ...PETER, similarity: 0.5 }] });

function reply(...faces: IdentifiedFace[]): Reply {
  return {
    identification_id: "i",
    timestamp: "2025-12-04T10:30:00Z",
    face_detected: faces.length > 0,
    match: null,
    faces,
    faces_passed_over: 0,
    image: FRAME,
    timing_ms: {},
  };
}

const over = (replies: Reply[]): Tracks => replies.reduce((tracks, one, i) => advance(tracks, one, i * 100), NOBODY);
const seen = (tracks: Tracks, mirrored = false) => everybody(tracks, FRAME, mirrored);

describe("a name is shown when it is steady", () => {
  const k: Verdict = { kind: "known", personId: "p" };
  const other: Verdict = { kind: "known", personId: "q" };
  const m: Verdict = { kind: "maybe", personId: "p" };
  const u: Verdict = { kind: "unknown" };
  const x: Verdict = { kind: "unclear" };
  test.each<[string, Verdict[], Verdict]>([
    ["two frames are too few", [k, k], x],
    ["three of five", [k, u, k, x, k], k],
    ["two of five", [k, u, x, x, k], x],
    ["only the last five count", [k, k, k, u, u, u, u, u], u],
    ["two names that take turns are none", [k, other, k, other], x],
    ["the name that most agree on", [other, k, k, other, k], k],
    ["known and maybe are together a maybe", [k, m, k, m], m],
    ["a stranger needs three frames too", [u, u], x],
    ["three frames of a stranger", [u, x, u, u], u],
    ["nothing yet", [], x],
  ])("%s", (_, votes, verdict) => expect(steady(votes)).toEqual(verdict));

  test.each(["TURNED_AWAY", "TOO_SMALL", "CUT_OFF", "TOO_DARK"] as const)(
    "a face that is %s may be known, but is not declared a stranger",
    (issue) => {
      const quality = { score: 80, issues: [issue], advice: [] };
      expect(verdictOf(face({ quality }))).toEqual(x);
      expect(verdictOf(known({ quality }))).toEqual(k);
    },
  );

  test("a face that is hard to see is not declared a stranger", () => {
    expect(verdictOf(face({ quality: { score: 49, issues: [], advice: [] } }))).toEqual(x);
    expect(verdictOf(face())).toEqual(u);
  });
});

describe("the people who are there", () => {
  test("come to be known over frames, and stay when one frame misses them", () => {
    expect(seen(over([reply(known()), reply(known())]))[0]?.kind).toBe("unclear");
    const three = over([reply(known()), reply(known()), reply(known())]);
    expect(seen(three)[0]).toMatchObject({ kind: "known", name: "Peter", identificationId: "i" });
    const missed = advance(three, reply(), 300);
    expect(seen(missed)).toHaveLength(1);
    expect(seen(advance(advance(missed, reply(), 400), reply(), 500))).toEqual([]);
  });

  test("are in the order of how near they are", () => {
    const near = known({ track_id: 2, match: { ...PETER, person_id: "q", name: "Anna" } });
    near.box = { x: 400, y: 0, width: 300, height: 300 };
    const names = seen(over(Array(3).fill(reply(known(), near)))).map((one) => "name" in one && one.name);
    expect(names).toEqual(["Anna", "Peter"]);
  });

  test("are nobody twice", () => {
    const tracks = over(Array(3).fill(reply(known(), known({ track_id: 2 }))));
    expect(seen(tracks)).toHaveLength(1);
  });

  test("might be somebody", () => {
    expect(seen(over(Array(3).fill(reply(uncertain))))[0]).toMatchObject({ kind: "maybe", name: "Peter" });
  });

  test("lose the name at once when it was wrong", () => {
    const tracks = doubt(over(Array(5).fill(reply(known()))), 1);
    expect(seen(tracks)[0]?.kind).toBe("unclear");
  });

  test("are not called again what somebody said they are not, and only that face is not", () => {
    const frame = reply(known(), known({ track_id: 2, match: { ...PETER, person_id: "q", name: "Quentin" } }));
    const watched = (hearsay: Hearsay) =>
      seen(
        Array(5)
          .fill(frame)
          .reduce((tracks, one, i) => advance(tracks, one, i * 100, hearsay), NOBODY),
      );
    const told = tell(new Map(), 1, "p", false);
    expect(watched(told)).toMatchObject([{ kind: "unknown" }, { kind: "known", name: "Quentin" }]);
    expect(watched(tell(told, 2, "p", false))).toMatchObject([
      { kind: "unknown" },
      { kind: "known", name: "Quentin" },
    ]);
    expect(watched(tell(told, 1, "p", null))).toMatchObject([{ name: "Peter" }, { name: "Quentin" }]);
  });

  test("are called what somebody said they might rightly be called, for as long as the server thinks so too", () => {
    const hearsay = tell(new Map(), 1, "p", true);
    const watched = (frame: Reply) =>
      seen(
        Array(5)
          .fill(frame)
          .reduce((tracks, one, i) => advance(tracks, one, i * 100, hearsay), NOBODY),
      );
    expect(watched(reply(uncertain))[0]).toMatchObject({ kind: "known", name: "Peter" });
    const quentin = { ...PETER, person_id: "q", name: "Quentin" };
    expect(watched(reply(known({ match: quentin })))[0]).toMatchObject({ kind: "known", name: "Quentin" });
    expect(watched(reply(face()))[0]?.kind).toBe("unknown");
  });

  test("a number that comes anew after the name was another face starts from nothing", () => {
    const tracks = over([...Array(3).fill(reply(known())), ...Array(3).fill(reply())]);
    expect(seen(advance(tracks, reply(known()), 700))[0]?.kind).toBe("unclear");
  });
});

describe("what was done about a face", () => {
  const note = (trackId: number, undo: (() => Promise<unknown>) | null = async () => {}) => ({
    trackId,
    message: `${trackId}`,
    undo,
  });
  const later = 40_000;

  test("can be taken back for as long as the face is there, and half a minute at least", () => {
    const notes = withNote([], note(1), 0);
    expect(noteToShow(notes, [{ trackId: 1 }], null, later)?.trackId).toBe(1);
    expect(noteToShow(notes, [{ trackId: 2 }], null, later)).toBeNull();
    expect(noteToShow(notes, [], null, 29_000)?.trackId).toBe(1);
  });

  test("is shown beside that face, or else the last of it, and goes soon where there is nothing to take back", () => {
    const notes = withNote(withNote([], note(1), 0), note(2, null), 0);
    expect(noteToShow(notes, [], { trackId: 1 }, 1)?.trackId).toBe(1);
    expect(noteToShow(notes, [], { trackId: 3 }, 1)?.trackId).toBe(2);
    expect(noteToShow(notes, [{ trackId: 2 }], { trackId: 2 }, 9_000)?.trackId).toBe(1);
    expect(withNote(notes, note(1), 5)).toHaveLength(2);
  });
});

describe("choosing someone who is here already", () => {
  const people = [
    { person_id: "a", name: "Anna Maria", relationship: "Daughter" },
    { person_id: "b", name: "Johanna", relationship: null },
    { person_id: "c", name: "Peter", relationship: "Annas husband" },
  ];
  test.each([
    ["an", ["a", "c"]],
    ["MAR", ["a"]],
    ["daughter", ["a"]],
    ["x", []],
  ])("by %s", (words, found) => expect(matching(people, words).map((one) => one.person_id)).toEqual(found));

  test("a name is the same in other case and with other spaces, and no other", () => {
    expect(isCalled({ name: "Anna Maria" }, " anna  maria ")).toBe(true);
    expect(isCalled({ name: "Anna Maria" }, "Anna")).toBe(false);
  });

  test.each([
    ["REJECTION_LIFTED", {}, "that no longer counts"],
    ["OTHER_FACES", {}, "several faces"],
    ["DOES_NOT_FIT", {}, "does not look like the other photos of Anna"],
    ["LOOKS_LIKE", { name: "Peter" }, "Peter looks much like this too"],
  ])("%s is said in plain words", (code, details, words) => {
    const said = teachingWords("Done.", "Anna", [{ code, details }], inEnglish);
    expect(said).toContain("Done. ");
    expect(said).toContain(words);
    expect(teachingWords("Gut.", "Anna", [{ code, details }], inGerman).length).toBeGreaterThan(20);
  });
});

describe("what is said", () => {
  const people = (...names: string[]) =>
    names.map((name, i) => ({
      name,
      relationship: i % 2 ? null : "your son",
      side: (["left", "ahead", "right"] as const)[i % 3] ?? "left",
    }));
  const count = (text: string) => text.split(/\s+/).length;

  test.each([
    [people("Peter"), "Peter, your son, on your left."],
    [people("Peter", "Anna"), "Peter, your son, on your left. Anna, in front of you."],
    [people("Peter", "Anna", "Lea"), "Peter, your son. Anna. Lea, your son."],
    [people("Peter", "Anna", "Lea", "Mira", "Tom"), "Peter, your son. Anna. Lea, your son. And 2 more."],
  ])("%#", (heard, text) => expect(announce(heard, inEnglish)).toBe(text));

  test("is at most twelve words, whatever people are called, in every language", () => {
    const names = ["Jo", "Anna Maria von und zu Guttenberg", "Maximilian Alexander Graf von Hohenberg der Jüngere"];
    const long = "the youngest son of your eldest sister in Hamburg";
    for (const t of [inEnglish, inGerman])
      for (let n = 1; n <= 6; n++)
        for (const name of names)
          for (const relationship of [null, "Friend", long]) {
            const text = announce(Array(n).fill({ name, relationship, side: "left" }), t);
            expect(count(text), text).toBeLessThanOrEqual(12);
            expect(text).toContain(name.split(" ")[0]);
          }
  });

  test("of someone with a long relationship leaves out what is too much, never the name", () => {
    const heard = {
      name: "Ann",
      relationship: "the neighbour who lives on the other side of the road with two dogs",
      side: "right",
    };
    expect(announce([heard as Named], inEnglish)).toBe("Ann, on your right.");
  });

  const one = (kind: Seen["kind"], name = "Peter") =>
    ({ kind, name, personId: name, relationship: null, side: "left", trackId: 1, near: 1 }) as unknown as Seen;

  test.each<[Seen[], string]>([
    [[one("known")], "Peter, on your left."],
    [[one("maybe")], "Maybe Peter."],
    [[one("unknown"), one("unknown")], "2 people I do not know."],
    [[one("known"), one("unknown")], "Peter, on your left. One person I do not know."],
    [[one("unclear")], "I cannot see the face well."],
    [[], "Nobody is there."],
  ])("to who asks, strangers are told of: %#", (people_, text) => expect(answer(people_, inEnglish)).toBe(text));

  test("is silent about nobody", () => expect(announce([], inEnglish)).toBe(""));
});

test("people are spoken of once an encounter, again after five minutes, and again when it was taken back", () => {
  const peter = { personId: "p" };
  const anna = { personId: "q" };
  const said = withSaid(new Map(), [peter], 1_000);
  expect(due(said, [peter, anna], 2_000)).toEqual([anna]);
  expect(due(said, [peter], 1_000 + 5 * 60_000 - 1)).toEqual([]);
  expect(due(said, [peter], 1_000 + 5 * 60_000)).toEqual([peter]);
  expect(due(unsaid(said, "p"), [peter], 2_000)).toEqual([peter]);
});

describe("the card", () => {
  const one = (trackId: number, kind: Seen["kind"], near: number) => ({ trackId, kind, near }) as Seen;
  test("is of who is known before who might be, before a stranger, however near", () => {
    expect(focusOn([one(1, "unknown", 9), one(2, "known", 1), one(3, "maybe", 5)], null, null)?.trackId).toBe(2);
    expect(focusOn([one(1, "unknown", 9), one(3, "maybe", 5)], null, null)?.trackId).toBe(3);
    expect(focusOn([], 1, 1)).toBeNull();
  });
  test("does not jump between two who are about as near", () => {
    expect(focusOn([one(1, "known", 10), one(2, "known", 11)], 1, null)?.trackId).toBe(1);
    expect(focusOn([one(1, "known", 10), one(2, "known", 17)], 1, null)?.trackId).toBe(2);
  });
  test("stays with who was chosen by hand, for as long as they are there", () => {
    const people = [one(1, "known", 10), one(2, "unknown", 1)];
    expect(focusOn(people, 1, 2)?.trackId).toBe(2);
    expect(focusOn([people[0] as Seen], 1, 2)?.trackId).toBe(1);
  });
});

describe("frames stay on faces between two answers", () => {
  const at = (x: number): Rect => ({ x, y: 0.5, width: 0.1, height: 0.1 });
  test("a face that moves is led, one that rests is not", () => {
    let moving = observe(undefined, at(0), 0);
    for (let i = 1; i <= 10; i++) moving = observe(moving, at(i * 0.01), i * 100);
    expect(predict(moving, 1_100).x).toBeGreaterThan(0.106);
    expect(predict(moving, 1_100).x).toBeLessThan(0.112);
    const resting = observe(observe(undefined, at(0.3), 0), at(0.3), 100);
    expect(predict(resting, 400)).toEqual(at(0.3));
  });
  test("without news it comes to rest, and does not fly away", () => {
    const moving = observe(observe(undefined, at(0), 0), at(0.1), 100);
    expect(predict(moving, 60_000).x).toBeLessThan(0.1 + 0.001 * 220);
  });
  test("after a gap nothing is known of its speed", () => {
    expect(observe(observe(undefined, at(0), 0), at(0.5), 5_000).speed.x).toBe(0);
  });
  test("the frame glides to where it should be, whatever the rate of the screen", () => {
    const once = glide(at(0), at(1), 32).x;
    expect(glide(glide(at(0), at(1), 16), at(1), 16).x).toBeCloseTo(once);
    expect(glide(undefined, at(1), 16).x).toBe(1);
  });
});

describe("where a face is", () => {
  test("on a stage that the picture covers, mirrored or not", () => {
    const part = { x: 0, y: 0, width: 0.5, height: 1 };
    expect(onStage(part, FRAME, { width: 500, height: 500 }, false)).toEqual({
      x: -250,
      y: 0,
      width: 500,
      height: 500,
    });
    expect(onStage(part, FRAME, { width: 500, height: 500 }, true)).toEqual({
      x: 250,
      y: 0,
      width: 500,
      height: 500,
    });
  });
  test("for the person: a camera that faces them sees their left on its right", () => {
    const leftInPicture = { x: 0, y: 0, width: 0.2, height: 0.2 };
    expect(sideOf(leftInPicture, false)).toBe("left");
    expect(sideOf(leftInPicture, true)).toBe("right");
    expect(sideOf({ ...leftInPicture, x: 0.4 }, true)).toBe("ahead");
  });
});

describe("the pace", () => {
  const settle = (roundTrip: (sidePx: number) => number, frames = 200) => {
    let pace = FIRST_PACE;
    for (let i = 0; i < frames; i++) pace = measured(pace, roundTrip(pace.sidePx));
    return pace;
  };
  test("a fast server gets large frames, a slow one small ones", () => {
    expect(settle(() => 40).sidePx).toBe(1280);
    expect(settle(() => 900).sidePx).toBe(480);
    expect(settle(() => 240).sidePx).toBe(960);
  });
  test("one slow answer changes nothing", () => {
    expect(
      measured(
        settle(() => 200),
        600,
      ).sidePx,
    ).toBe(960);
  });
  test("it settles on a size, and does not swing between two", () => {
    const slower = (sidePx: number) => sidePx / 4;
    let pace = settle(slower);
    const sizes = new Set<number>();
    for (let i = 0; i < 100; i++) {
      pace = measured(pace, slower(pace.sidePx));
      sizes.add(pace.sidePx);
    }
    expect(sizes.size).toBe(1);
  });
  test("never faster than faces move, never so fast that the server has no time for others, slower with nobody", () => {
    expect(intervalMs({ ...FIRST_PACE, roundTripMs: 10 }, false)).toBe(66);
    expect(intervalMs({ ...FIRST_PACE, roundTripMs: 400 }, false)).toBeGreaterThan(400);
    expect(intervalMs({ ...FIRST_PACE, roundTripMs: 10 }, true)).toBe(250);
  });
  test("a frame is never larger than the camera's, in portrait and landscape", () => {
    expect(sendSize({ width: 1280, height: 720 }, 640)).toEqual({ width: 640, height: 360 });
    expect(sendSize({ width: 720, height: 1280 }, 640)).toEqual({ width: 360, height: 640 });
    expect(sendSize({ width: 320, height: 240 }, 1280)).toEqual({ width: 320, height: 240 });
  });
});

test("attempts to connect come further apart, up to ten seconds, and not all devices at once", () => {
  expect(waitMs(1, 0)).toBeLessThan(waitMs(1, 1));
  expect(waitMs(1, 1)).toBeLessThanOrEqual(500);
  for (let n = 1; n < 100; n++) {
    expect(waitMs(n + 1, 0.5)).toBeGreaterThanOrEqual(waitMs(n, 0.5));
    expect(waitMs(n, 1)).toBeLessThanOrEqual(10_000);
  }
});

describe("what the camera is doing", () => {
  const fine: Situation = {
    camera: "on",
    connected: true,
    brightness: 120,
    people: [],
    facesInTheDark: false,
    lastFaceMs: 0,
    nowMs: 10_000,
  };
  const peter = [{ kind: "known" } as Seen];
  test.each<[Partial<Situation>, string]>([
    [{ camera: "off" }, "off"],
    [{ camera: "starting" }, "starting"],
    [{ camera: "refused" }, "blocked"],
    [{ camera: "lost", connected: false }, "blocked"],
    [{ connected: false, people: peter }, "disconnected"],
    [{ brightness: null }, "starting"],
    [{ brightness: 5 }, "dark"],
    [{ brightness: 5, people: peter }, "looking"],
    [{ people: peter, facesInTheDark: true }, "dark"],
    [{}, "nobody"],
    [{ lastFaceMs: 9_500 }, "looking"],
  ])("%j: %s", (changes, activity) => expect(activityOf({ ...fine, ...changes })).toBe(activity));
});
