import type { IdentifiedFace, Schema } from "@/client/api";
import { asParts, type Side, type Size, sideOf } from "./geometry";
import { type Motion, observe } from "./motion";
import { NOTHING_TOLD, steady, type Told, type Verdict, verdictOf, withVote } from "./steadiness";

/** What the server says of a frame. */
export type Reply = Schema["Identification"];

/** A face over the frames of one connection. */
export interface Track {
  trackId: number;
  votes: readonly Verdict[];
  motion: Motion;
  face: IdentifiedFace;
  /** The latest answer that names it so, for "that's wrong". */
  identificationId: string;
  /** Frames since it was last found. */
  missed: number;
}

export type Tracks = ReadonlyMap<number, Track>;

/** A face, as it may be shown and spoken of. */
export type Seen = { trackId: number; side: Side; near: number; unknownId: string | null } & (
  | {
      kind: "known" | "maybe";
      personId: string;
      name: string;
      relationship: string | null;
      identificationId: string;
    }
  | { kind: "unknown" | "unclear" }
);
export type Named = Extract<Seen, { personId: string }>;

/** A face that is missing from so many answers in a row is gone. */
const GONE_AFTER = 3;

export const NOBODY: Tracks = new Map();

/** What was told of the faces of one connection, by their tracks. */
export type Hearsay = ReadonlyMap<number, Told>;

/** Bring the faces to a new answer. `atMs`: when its frame was photographed. */
export function advance(before: Tracks, reply: Reply, atMs: number, hearsay: Hearsay = new Map()): Tracks {
  const after = new Map<number, Track>();
  for (const [trackId, track] of before)
    if (track.missed + 1 < GONE_AFTER) after.set(trackId, { ...track, missed: track.missed + 1 });
  for (const face of reply.faces) {
    if (face.track_id === null) continue;
    const track = before.get(face.track_id);
    after.set(face.track_id, {
      trackId: face.track_id,
      votes: withVote(track?.votes ?? [], verdictOf(face, hearsay.get(face.track_id))),
      motion: observe(track?.motion, asParts(face.box, reply.image), atMs),
      face,
      identificationId: reply.identification_id,
      missed: 0,
    });
  }
  return after;
}

/** Something else holds of a face from now on: nothing is said of it until new frames agree. */
export function doubt(tracks: Tracks, trackId: number): Tracks {
  const track = tracks.get(trackId);
  return track === undefined ? tracks : new Map([...tracks, [trackId, { ...track, votes: [] }]]);
}

/** Somebody said that a face is a person, or is not; `null` takes back what was said of the two. */
export function tell(hearsay: Hearsay, trackId: number, personId: string, is: boolean | null): Hearsay {
  const { is: was, not } = hearsay.get(trackId) ?? NOTHING_TOLD;
  const others = not.filter((one) => one !== personId);
  const told: Told = {
    is: is === true ? personId : was === personId ? null : was,
    not: is === false ? [...others, personId] : others,
  };
  return new Map([...hearsay, [trackId, told]]);
}

/** Everybody who is there, the nearest first. Nobody is there twice. */
export function everybody(tracks: Tracks, frame: Size, mirrored: boolean): Seen[] {
  const seen = [...tracks.values()].map((track) => seenOf(track, frame, mirrored)).sort((a, b) => b.near - a.near);
  const names = new Set<string>();
  return seen.filter((one) => {
    if (one.kind !== "known") return true;
    const again = names.has(one.personId);
    names.add(one.personId);
    return !again;
  });
}

function seenOf({ trackId, votes, motion, face, identificationId }: Track, frame: Size, mirrored: boolean): Seen {
  const verdict = steady(votes);
  const place = {
    trackId,
    side: sideOf(motion.box, mirrored),
    near: motion.box.width * frame.width * motion.box.height * frame.height,
    unknownId: face.unknown_id,
  };
  if (verdict.kind === "unknown" || verdict.kind === "unclear") return { ...place, kind: verdict.kind };
  const person = [face.match, ...face.candidates].find((one) => one?.person_id === verdict.personId);
  if (person == null) return { ...place, kind: "unclear" };
  return {
    ...place,
    kind: verdict.kind,
    personId: person.person_id,
    name: person.name,
    relationship: person.relationship,
    identificationId,
  };
}
