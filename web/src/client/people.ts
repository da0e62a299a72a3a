import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, call, type PersonWithPhotos } from "./api";

/** One person, with photos. */
export const personQuery = (person_id: string) =>
  queryOptions({
    queryKey: ["persons", person_id],
    queryFn: () => call(api.GET("/api/v1/persons/{person_id}", { params: { path: { person_id } } })),
    staleTime: 60_000,
  });

export function usePerson(person_id: string) {
  return useQuery(personQuery(person_id));
}

/** The photo to show of a person: the one of the best quality. */
export function portraitOf(person: PersonWithPhotos): string | null {
  const best = person.photos.reduce<PersonWithPhotos["photos"][number] | null>(
    (found, photo) => (found === null || photo.quality.score > found.quality.score ? photo : found),
    null,
  );
  return best?.url ?? null;
}

/** The one line to remember of a person: metadata key `remember`. */
export function lineToRemember(metadata: Record<string, unknown>): string | null {
  const line = metadata.remember;
  return typeof line === "string" && line.trim() !== "" ? line.trim() : null;
}
