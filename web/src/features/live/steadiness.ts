import type { IdentifiedFace } from "@/client/api";

/**
 * What one frame, or several together, say about a face. `unclear`: too little is seen of it to say anything; above
 * all, not that it is a stranger.
 */
export type Verdict =
  | { kind: "known"; personId: string }
  | { kind: "maybe"; personId: string }
  | { kind: "unknown" }
  | { kind: "unclear" };

const LAST = 5;
const ENOUGH = 3;

const UNFAIR: readonly string[] = ["TURNED_AWAY", "TOO_SMALL", "CUT_OFF", "OCCLUDED", "TOO_DARK"];
const FAIR_SCORE = 50;

/** What somebody who stands there said of a face; it counts for as long as the face stays. */
export interface Told {
  is: string | null;
  not: readonly string[];
}

export const NOTHING_TOLD: Told = { is: null, not: [] };

/** What one frame says, and what was told of the face: a "yes" makes of a perhaps a name, a "no" takes a name away. */
export function verdictOf(face: IdentifiedFace, told: Told = NOTHING_TOLD): Verdict {
  const named = face.status === "known" ? face.match : face.status === "uncertain" ? face.candidates[0] : undefined;
  if (named != null && !told.not.includes(named.person_id)) {
    const personId = named.person_id;
    return { kind: face.status === "known" || told.is === personId ? "known" : "maybe", personId };
  }
  const stranger = face.status === "unknown" || named != null;
  const fair = face.quality.score >= FAIR_SCORE && !face.quality.issues.some((issue) => UNFAIR.includes(issue));
  return { kind: stranger && fair ? "unknown" : "unclear" };
}

/** The last verdicts with one more; only so many are kept as count. */
export function withVote(votes: readonly Verdict[], vote: Verdict): readonly Verdict[] {
  return [...votes, vote].slice(-LAST);
}

/** What the last frames say together: what three of five agree on, and nothing else. */
export function steady(votes: readonly Verdict[]): Verdict {
  const recent = votes.slice(-LAST);
  const named = recent.filter((vote) => vote.kind === "known" || vote.kind === "maybe");
  for (const kind of ["known", "maybe"] as const) {
    for (const { personId } of named) {
      const agreeing = named.filter(
        (vote) => vote.personId === personId && (kind === "maybe" || vote.kind === "known"),
      );
      if (agreeing.length >= ENOUGH) return { kind, personId };
    }
  }
  return { kind: recent.filter((vote) => vote.kind === "unknown").length >= ENOUGH ? "unknown" : "unclear" };
}
