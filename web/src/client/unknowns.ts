import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ApiError, api, asForm, call, type Schema } from "./api";
import { isMe, type Taught, taught } from "./live";
import { consentField, refreshPeople } from "./people";

export type UnknownFace = Schema["Unknown"];

const OFTEN_MS = 4_000;

/** Faces of the last minutes that nobody knows. */
export function useUnknowns() {
  return useQuery({
    queryKey: ["unknowns"],
    queryFn: () => call(api.GET("/api/v1/unknowns")),
    refetchInterval: OFTEN_MS,
  });
}

/** A face that is to get a name: one that waits for it, or else only its picture. */
export interface Unnamed {
  unknownId: string | null;
  picture: Blob | null;
}

/** Whose face it is, someone new or someone who is here already; and who agreed, where that is asked for. */
export type Answer = ({ name: string; relationship: string } | { person: Schema["Person"] }) & {
  consent: Schema["Consent"] | null;
};

/** Who has the name now; `undo` where that can be taken back. */
export interface NamedFace {
  person_id: string;
  name: string;
  warnings: readonly Schema["Warning_"][];
  undo: (() => Promise<unknown>) | null;
}

export function useNameFace() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ face, answer }: { face: Unnamed; answer: Answer }): Promise<NamedFace> => {
      if (!("person" in answer)) return { ...(await register(face, answer)), undo: null };
      const { person, consent } = answer;
      const { warnings, undo: unteach } = await confirm(queries, face, person.person_id);
      const agrees = consent !== null && person.consent == null;
      if (agrees) await noteConsent(person.person_id, consent);
      const undo = async () => {
        if (agrees) await noteConsent(person.person_id, null);
        await unteach();
      };
      return { person_id: person.person_id, name: person.name, warnings, undo };
    },
    onSuccess: () => refreshPeople(queries),
  });
}

function register(face: Unnamed, answer: { name: string; relationship: string; consent: Schema["Consent"] | null }) {
  const fields = {
    name: answer.name.trim(),
    relationship: answer.relationship.trim() || null,
    ...consentField(answer.consent),
  };
  if (face.unknownId === null)
    return call(
      api.POST("/api/v1/register", { body: { ...fields, image: face.picture } as never, bodySerializer: asForm }),
    );
  return call(
    api.POST("/api/v1/unknowns/{unknown_id}/register", {
      params: { path: { unknown_id: face.unknownId } },
      body: fields as never,
      bodySerializer: asForm,
    }),
  );
}

async function confirm(queries: QueryClient, face: Unnamed, person_id: string): Promise<Taught> {
  if (face.unknownId === null) return isMe(queries, person_id, face.picture ?? new Blob());
  return taught(
    queries,
    person_id,
    await call(
      api.POST("/api/v1/unknowns/{unknown_id}/confirm", {
        params: { path: { unknown_id: face.unknownId } },
        body: { person_id },
      }),
    ),
  );
}

function noteConsent(person_id: string, consent: Schema["Consent"] | null) {
  return call(api.PATCH("/api/v1/persons/{person_id}", { params: { path: { person_id } }, body: { consent } }));
}

/** Let a face go, also while the page closes; one that is gone already is no error. */
export async function dismissUnknown(unknown_id: string): Promise<void> {
  try {
    await call(api.DELETE("/api/v1/unknowns/{unknown_id}", { params: { path: { unknown_id } }, keepalive: true }));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

/** Whom the largest face of a picture resembles, the likest first, however little that is. */
export async function likest(image: Blob): Promise<readonly Schema["Candidate"][]> {
  const request = api.POST("/api/v1/identify", { body: { image } as never, bodySerializer: asForm });
  const { faces } = (await call(request)) as Schema["Identification"];
  const area = ({ box }: (typeof faces)[number]) => box.width * box.height;
  return [...faces].sort((a, b) => area(b) - area(a))[0]?.candidates ?? [];
}
