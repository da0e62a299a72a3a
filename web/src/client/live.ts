import { api, asForm, call, type Schema } from "./api";
import { consentField } from "./people";

/** "That's wrong": this face is not that person. Gives the id by which that can be taken back. */
export async function notMe(person_id: string, identification_id: string): Promise<string> {
  const { undo_id } = await call(
    api.POST("/api/v1/persons/{person_id}/not-me", {
      params: { path: { person_id } },
      body: { identification_id } as never,
    }),
  );
  return undo_id;
}

/** Take a correction back. */
export function takeBack(undo_id: string): Promise<unknown> {
  return call(api.POST("/api/v1/undo/{undo_id}", { params: { path: { undo_id } } }));
}

/** Give a face before the camera a name: the entry that waits for one, or else the picture of it. */
export async function nameFace(
  face: { unknownId: string | null; picture: Blob | null },
  person: { name: string; relationship: string; consent: Schema["Consent"] | null },
): Promise<Schema["Registration"]> {
  const fields = {
    name: person.name,
    relationship: person.relationship || null,
    ...consentField(person.consent),
  };
  if (face.unknownId !== null)
    return call(
      api.POST("/api/v1/unknowns/{unknown_id}/register", {
        params: { path: { unknown_id: face.unknownId } },
        body: fields as never,
        bodySerializer: asForm,
      }),
    );
  return call(
    api.POST("/api/v1/register", { body: { ...fields, image: face.picture } as never, bodySerializer: asForm }),
  );
}
