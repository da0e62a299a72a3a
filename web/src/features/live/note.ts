import type { Seen } from "./scene";

/** What was done about a face, and how to take it back. */
export interface Note {
  trackId: number;
  message: string;
  undo: (() => Promise<unknown>) | null;
}

/** Until when a note stands at least; milliseconds. */
export type Kept = Note & { untilMs: number };

const UNDO_MS = 30_000;
const PLAIN_MS = 8_000;

/** The notes with one more; a face has one only. */
export function withNote(notes: readonly Kept[], note: Note, nowMs: number): Kept[] {
  const others = notes.filter((one) => one.trackId !== note.trackId);
  return [...others, { ...note, untilMs: nowMs + (note.undo === null ? PLAIN_MS : UNDO_MS) }];
}

/**
 * The note to show: that of the face on the card, or else the last. What can be taken back stands for as long as the
 * face is there, and half a minute at least.
 */
export function noteToShow(
  notes: readonly Kept[],
  people: readonly Pick<Seen, "trackId">[],
  focus: Pick<Seen, "trackId"> | null,
  nowMs: number,
): Kept | null {
  const isThere = ({ trackId }: Note) => people.some((one) => one.trackId === trackId);
  const standing = notes.filter((note) => note.untilMs > nowMs || (note.undo !== null && isThere(note)));
  return standing.findLast((note) => note.trackId === focus?.trackId) ?? standing.at(-1) ?? null;
}
