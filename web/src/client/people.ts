import {
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { api, asForm, call, type PersonWithPhotos, type Schema } from "./api";

const PAGE = 48;

/** What a person can be described by; notes and the line to remember are metadata. */
export interface Details {
  name: string;
  relationship: string;
  remember: string;
  notes: string;
}

/** Who agreed that a person is remembered. */
type Consent = Schema["Consent"] | null;

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

export type Order = "newest" | "name";

/** Everybody whose name or relationship holds these words, in order, a page at a time. */
export const peopleQuery = (words: string, order: Order) =>
  infiniteQueryOptions({
    queryKey: ["persons", "list", words, order],
    queryFn: ({ pageParam, signal }) =>
      call(
        api.GET("/api/v1/persons", {
          params: { query: { limit: PAGE, query: words || null, cursor: pageParam, order } },
          signal,
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });

export function usePeople(words: string, order: Order) {
  return useInfiniteQuery({ ...peopleQuery(words, order), placeholderData: (before) => before });
}

const ABOUT_PEOPLE: readonly unknown[] = ["persons", "report", "unknowns"];

/** Whoever is remembered has changed: everything that shows them is asked for again, but whoever is gone. */
export function refreshPeople(queries: QueryClient, ...gone: string[]): Promise<unknown> {
  return queries.invalidateQueries({
    predicate: ({ queryKey: [about, which] }) => ABOUT_PEOPLE.includes(about) && !gone.includes(String(which)),
  });
}

function usePeopleMutation<V, T>(mutationFn: (values: V) => Promise<T>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn, onSuccess: () => refreshPeople(queries) });
}

/** Pictures to send, up to ten; and of each which face is meant, where someone chose one. */
interface Photos {
  images: readonly Blob[];
  boxes?: readonly (Schema["Box"] | null)[];
}

function photoFields({ images, boxes = [] }: Photos) {
  const chosen = boxes.some((box) => box !== null);
  return { image: images, box: chosen ? boxes.map((box) => JSON.stringify(box)) : null };
}

/** Remember someone: up to ten pictures at once. */
export function useRegister() {
  return usePeopleMutation(({ details, consent, ...photos }: { details: Details; consent: Consent } & Photos) =>
    call(
      api.POST("/api/v1/register", {
        body: { ...registration(details), ...consentField(consent), ...photoFields(photos) } as never,
        bodySerializer: asForm,
      }),
    ),
  );
}

export function useAddPhotos() {
  return usePeopleMutation(({ person_id, ...photos }: { person_id: string } & Photos) =>
    addPhotos(person_id, photos),
  );
}

export function addPhotos(person_id: string, photos: Photos) {
  return call(
    api.POST("/api/v1/persons/{person_id}/photos", {
      params: { path: { person_id } },
      body: photoFields(photos) as never,
      bodySerializer: asForm,
    }),
  );
}

export function useUpdatePerson() {
  return usePeopleMutation(({ person_id, change }: { person_id: string; change: Schema["PersonChange"] }) =>
    call(api.PATCH("/api/v1/persons/{person_id}", { params: { path: { person_id } }, body: change })),
  );
}

export function useForget() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (person_id: string) =>
      call(api.DELETE("/api/v1/persons/{person_id}", { params: { path: { person_id } } })),
    onSuccess: ({ person_id }) => refreshPeople(queries, person_id),
  });
}

/** The photos of `from` move to `into`, and `from` goes; `undo_id` takes it back. */
export function useMerge() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ into, from }: { into: string; from: string }) => merge(into, from),
    onSuccess: (_, { from }) => refreshPeople(queries, from),
  });
}

export function merge(into: string, from: string) {
  return call(
    api.POST("/api/v1/persons/{person_id}/merge", { params: { path: { person_id: into } }, body: { from } }),
  );
}

export function useUndo() {
  return usePeopleMutation((undo_id: string) => undo(undo_id));
}

export function undo(undo_id: string) {
  return call(api.POST("/api/v1/undo/{undo_id}", { params: { path: { undo_id } } }));
}

/** Forget a photo; sent even while the page closes. */
export async function deletePhoto(queries: QueryClient, person_id: string, photo_id: string): Promise<void> {
  await call(
    api.DELETE("/api/v1/persons/{person_id}/photos/{photo_id}", {
      params: { path: { person_id, photo_id } },
      keepalive: true,
    }),
  );
  // At once, so that nothing asks for its picture before the person is here anew.
  queries.setQueryData(personQuery(person_id).queryKey, (person) =>
    person === undefined
      ? undefined
      : { ...person, photos: person.photos.filter((photo) => photo.photo_id !== photo_id) },
  );
  await refreshPeople(queries);
}

/** The fields of a registration. */
export function registration(details: Details) {
  const metadata = Object.fromEntries(
    (["remember", "notes"] as const).map((key) => [key, details[key].trim()]).filter(([, text]) => text !== ""),
  );
  return {
    name: details.name.trim(),
    relationship: details.relationship.trim() || null,
    metadata: Object.keys(metadata).length > 0 ? JSON.stringify(metadata) : null,
  };
}

/** Something that was sent is not kept: the person was here already, with other words. */
export function isAsWas({ warnings }: Pick<Schema["PhotosAdded"], "warnings">): boolean {
  return warnings.some((warning) => warning.code === "KEPT_AS_WAS");
}

/** The field of a form that says who agreed. */
export function consentField(consent: Consent) {
  return { consent: consent === null ? null : JSON.stringify(consent) };
}

/** What to send after editing; only the texts that differ, so that what others wrote meanwhile stays. */
export function changeOf(
  before: Details,
  after: Details,
  agreedBefore: Consent = null,
  agreed: Consent = agreedBefore,
): Schema["PersonChange"] | null {
  const change: Schema["PersonChange"] = {};
  if (after.name.trim() !== before.name) change.name = after.name.trim();
  if (after.relationship.trim() !== before.relationship) change.relationship = after.relationship.trim() || null;
  const metadata: Record<string, string | null> = {};
  for (const key of ["remember", "notes"] as const)
    if (after[key].trim() !== before[key]) metadata[key] = after[key].trim() || null;
  if (Object.keys(metadata).length > 0) change.metadata = metadata;
  if (JSON.stringify(agreed) !== JSON.stringify(agreedBefore)) change.consent = agreed;
  return Object.keys(change).length > 0 ? change : null;
}

export function detailsOf(person: Schema["Person"]): Details {
  return {
    name: person.name,
    relationship: person.relationship ?? "",
    remember: lineToRemember(person.metadata) ?? "",
    notes: textOf(person.metadata.notes) ?? "",
  };
}

/** The photo to show of a person: the one of the best quality. */
export function portraitOf(person: Pick<PersonWithPhotos, "photos">): string | null {
  const best = person.photos.reduce<PersonWithPhotos["photos"][number] | null>(
    (found, photo) => (found === null || photo.quality.score > found.quality.score ? photo : found),
    null,
  );
  return best?.url ?? null;
}

/** The one line to remember of a person: metadata key `remember`. */
export function lineToRemember(metadata: Record<string, unknown>): string | null {
  return textOf(metadata.remember);
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value.trim() !== "" ? value.trim() : null;
}
