import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ApiError, api, asForm, call, type Schema } from "./api";
import { consentField, merge, refreshPeople } from "./people";

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

/** Whose face it is, someone new or someone who is here already; and who agreed, where that is asked for. */
export type Answer = ({ name: string; relationship: string } | { person: Schema["Person"] }) & {
  consent: Schema["Consent"] | null;
};

export function useNameUnknown() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ unknown_id, answer }: { unknown_id: string; answer: Answer }) => {
      const { name, relationship } = "person" in answer ? answer.person : answer;
      const named = await call(
        api.POST("/api/v1/unknowns/{unknown_id}/register", {
          params: { path: { unknown_id } },
          body: {
            name: name.trim(),
            relationship: relationship?.trim() || null,
            ...consentField(answer.consent),
          } as never,
          bodySerializer: asForm,
        }),
      );
      // The server adds a face to whom it resembles; a look that is quite another comes as a person of its own.
      if ("person" in answer && named.person_id !== answer.person.person_id) {
        const { person_id } = answer.person;
        await merge(person_id, named.person_id);
        // Its consent went with that entry.
        if (answer.consent !== null && answer.person.consent == null)
          await call(
            api.PATCH("/api/v1/persons/{person_id}", {
              params: { path: { person_id } },
              body: { consent: { ...answer.consent } },
            }),
          );
      }
      return named;
    },
    onSuccess: () => refreshPeople(queries),
  });
}

/** Let a face go, also while the page closes; one that is gone already is no error. */
export async function dismissUnknown(unknown_id: string): Promise<void> {
  try {
    await call(api.DELETE("/api/v1/unknowns/{unknown_id}", { params: { path: { unknown_id } }, keepalive: true }));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}
