import type { Seen } from "./scene";

const RANK = { known: 0, maybe: 1, unknown: 2, unclear: 3 } as const;

/** Somebody else must be so many times as near (by area) to take the card from who is on it. */
const CLEARLY_NEARER = 1.6;

/**
 * Whose card is shown: who was chosen by hand; else who is known before who might be, before who is not; the nearest of
 * them, but the card does not jump between two who are about as near.
 */
export function focusOn(people: readonly Seen[], before: number | null, chosen: number | null): Seen | null {
  const byHand = people.find((one) => one.trackId === chosen);
  if (byHand !== undefined) return byHand;
  const best = people.reduce<Seen | null>(
    (found, one) =>
      found === null ||
      RANK[one.kind] < RANK[found.kind] ||
      (RANK[one.kind] === RANK[found.kind] && one.near > found.near)
        ? one
        : found,
    null,
  );
  const shown = people.find((one) => one.trackId === before);
  if (best === null || shown === undefined || shown.kind !== best.kind) return best;
  return best.near > CLEARLY_NEARER * shown.near ? best : shown;
}
