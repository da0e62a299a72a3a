import type { Schema } from "@/client/api";
import type { Key } from "@/lib/i18n";

export type Issue = Schema["Issue"];
type Quality = Schema["Quality"];

const GOOD = 60;
const FAIR = 40;

/** A photo's quality in a word: nobody has use for a number. */
export function gradeOf(quality: Quality): "good" | "fair" | "poor" {
  return quality.score >= GOOD ? "good" : quality.score >= FAIR ? "fair" : "poor";
}

/** What is wrong and how to do better, the first of it. */
export function adviceOf(issues: readonly Issue[]): Key | null {
  const [first] = issues;
  return first === undefined ? null : `issue.${first}`;
}
