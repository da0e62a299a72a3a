import type { QueryClient } from "@tanstack/react-query";
import { api, asForm, call, type Schema } from "./api";
import { personQuery, refreshPeople } from "./people";

/** A face in an answer: which answer, and where in it. */
export interface Evidence {
  identification_id: string;
  box: Schema["Box"];
}

/** "That's wrong": this face is not that person. Gives the id by which that can be taken back. */
export async function notMe(person_id: string, evidence: Evidence): Promise<string> {
  const { undo_id } = await call(
    api.POST("/api/v1/persons/{person_id}/not-me", { params: { path: { person_id } }, body: evidence as never }),
  );
  return undo_id;
}

/** What was taught, and how to take it back. */
export interface Taught {
  warnings: readonly Schema["Warning_"][];
  undo: () => Promise<unknown>;
}

/** "Yes, that is Anna": this face, of an answer or alone in a picture, is that person. */
export async function isMe(queries: QueryClient, person_id: string, face: Evidence | Blob): Promise<Taught> {
  const form = face instanceof Blob ? { bodySerializer: asForm } : {};
  return taught(
    queries,
    person_id,
    await call(
      api.POST("/api/v1/persons/{person_id}/is-me", {
        params: { path: { person_id } },
        body: (face instanceof Blob ? { image: face } : face) as never,
        ...form,
      }),
    ),
  );
}

/** The look that was taught may be a photo now; taking it back takes that out of the page first. */
export async function taught(
  queries: QueryClient,
  person_id: string,
  { undo_id, photo_id, warnings }: Schema["Confirmed"],
): Promise<Taught> {
  const undo = async () => {
    queries.setQueryData(
      personQuery(person_id).queryKey,
      (person) => person && { ...person, photos: person.photos.filter((photo) => photo.photo_id !== photo_id) },
    );
    try {
      await takeBack(undo_id);
    } finally {
      await refreshPeople(queries);
    }
  };
  await refreshPeople(queries);
  return { warnings, undo };
}

/** Take a correction back. */
export function takeBack(undo_id: string): Promise<unknown> {
  return call(api.POST("/api/v1/undo/{undo_id}", { params: { path: { undo_id } } }));
}
