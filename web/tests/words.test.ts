import { expect, test, vi } from "vitest";
import { ApiError } from "@/client/api";
import { changeOf, registration } from "@/client/people";
import { asksForConsent, draftOf, newConsent, recordOf } from "@/features/people/consent";
import { gradeOf } from "@/features/people/quality-words";
import { pairOf } from "@/features/report/settled";
import { cautionOf, retentionOf } from "@/features/settings/caution";
import { nearestRate } from "@/features/settings/rates";
import { drop, hold, release, releaseAll } from "@/lib/held";
import { sayAgo, sayWhen } from "@/lib/when";

test.each([
  [0.0005, "silent"],
  [0.002, "silent"],
  [0.01, "balanced"],
  [0.012, "balanced"],
  [0.03, "ready"],
  [0.5, "ready"],
])("a false-name target of %s is called %s", (rate, words) => {
  expect(cautionOf(rate)).toBe(words);
});

test("retention and the rate of speech are the nearest choice", () => {
  expect([null, 1, 90, 400, 9999].map(retentionOf)).toEqual(["never", "90", "90", "365", "730"]);
  expect([0.5, 0.75, 1.1, 1.5].map(nearestRate)).toEqual(["slow", "slow", "normal", "quick"]);
});

test("a photo's quality is a word", () => {
  const grades = [100, 60, 59, 40, 39, 0].map((score) => gradeOf({ score, issues: [], advice: [] }));
  expect(grades).toEqual(["good", "good", "fair", "fair", "poor", "poor"]);
});

test("a pair is the same pair the other way round", () => {
  expect(pairOf("b", "a")).toBe(pairOf("a", "b"));
});

test("moments are said as a person would", () => {
  const now = new Date(2026, 10, 24, 12, 0);
  const at = (...time: [number, number, number, number, number]) => new Date(...time).toISOString();
  expect(sayWhen(at(2026, 10, 24, 9, 5), "en-GB", now)).toBe("today, 9:05");
  expect(sayWhen(at(2026, 10, 23, 23, 59), "de", now)).toBe("gestern, 23:59");
  expect(sayWhen(at(2026, 10, 3, 9, 5), "de", now)).toBe("3. November");
  expect(sayWhen(at(2025, 10, 3, 9, 5), "de", now)).toBe("3. November 2025");
  expect(sayAgo(at(2026, 10, 24, 12, 0), "en", now)).toBe("now");
  expect(sayAgo(at(2026, 10, 24, 11, 58), "de", now)).toBe("vor 2 Minuten");
});

test("a change holds what differs, and empties with null", () => {
  const before = { name: "Ann", relationship: "Niece", remember: "", notes: "Tea" };
  expect(changeOf(before, before)).toBeNull();
  expect(changeOf(before, { ...before, name: " Anna ", notes: " " })).toEqual({
    name: "Anna",
    metadata: { notes: null },
  });
  expect(changeOf(before, { ...before, relationship: "" })).toEqual({ relationship: null });
});

test("a registration leaves out what is empty", () => {
  expect(registration({ name: " Ann ", relationship: "", remember: "", notes: "" })).toEqual({
    name: "Ann",
    relationship: null,
    metadata: null,
  });
  expect(registration({ name: "Ann", relationship: "Niece", remember: "x ", notes: "" }).metadata).toBe(
    '{"remember":"x"}',
  );
});

test("what is held back is done once, and not at all when it was undone", async () => {
  const run = vi.fn(async () => {});
  hold("a", run);
  drop("a");
  await release("a");
  expect(run).not.toHaveBeenCalled();
  hold("b", run);
  await Promise.all([release("b"), releaseAll()]);
  await release("b");
  expect(run).toHaveBeenCalledTimes(1);
});

test("a consent is complete or none, and comes back from its form as it was", () => {
  const empty = { ...newConsent(), givenOn: "2025-12-04" };
  expect(recordOf(empty, "Anna")).toBeNull();
  const self = recordOf({ ...empty, who: "self" }, "Anna");
  expect(self).toMatchObject({ given_by: "Anna", capacity: "self", given_on: "2025-12-04", valid_until: null });
  expect(recordOf({ ...empty, who: "representative" }, "Anna")).toBeNull();
  expect(recordOf({ ...empty, who: "self", until: "2025-12-03" }, "Anna")).toBeNull();
  expect(recordOf({ ...empty, who: "else", as: " ", givenBy: "Eva" }, "Anna")).toBeNull();
  for (const capacity of ["self", "representative", "legal guardian"]) {
    const kept = {
      given_by: "Eva",
      capacity,
      given_on: "2024-02-29",
      valid_until: "2030-01-01",
      text_version: "2",
    };
    expect(recordOf(draftOf(kept), "Anna")).toEqual(kept);
  }
});

test("only a refusal that names consent asks for it", () => {
  const refusal = (field: string) => new ApiError("VALIDATION_ERROR", "", 422, { fields: [{ field, message: "" }] });
  expect(["consent", "name"].map((field) => asksForConsent(refusal(field)))).toEqual([true, false]);
  expect(asksForConsent(new ApiError("BANK_ERROR", "", 507))).toBe(false);
});
