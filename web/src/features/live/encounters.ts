/** When each person was last spoken of; milliseconds. Lives as long as the page. */
export type Said = ReadonlyMap<string, number>;

const AGAIN_AFTER_MS = 5 * 60_000;

/** Who is to be spoken of now: once an encounter, and again after five minutes. */
export function due<T extends { personId: string }>(said: Said, people: readonly T[], nowMs: number): T[] {
  return people.filter(({ personId }) => nowMs - (said.get(personId) ?? Number.NEGATIVE_INFINITY) >= AGAIN_AFTER_MS);
}

/** They were spoken of. */
export function withSaid(said: Said, people: readonly { personId: string }[], nowMs: number): Said {
  return new Map([...said, ...people.map(({ personId }) => [personId, nowMs] as const)]);
}

/** It was wrong, or taken back: this person may be spoken of again. */
export function unsaid(said: Said, personId: string): Said {
  return new Map([...said].filter(([id]) => id !== personId));
}
