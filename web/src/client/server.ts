import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, call, type Schema } from "./api";
import { refreshPeople } from "./people";
import type { Role } from "./session";

/** Which routes the server has, as "GET /api/v1/keys": a page may meet an older server. */
export const routesQuery = queryOptions({
  queryKey: ["routes"],
  queryFn: async (): Promise<ReadonlySet<string>> => {
    const reply = await fetch("/openapi.json");
    if (!reply.ok) return new Set();
    const document = (await reply.json()) as { paths: Record<string, object> };
    return new Set(
      Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      ),
    );
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** Whether the server has a route; false until that is known. */
export function useHas(route: string): boolean {
  return useQuery(routesQuery).data?.has(route) ?? false;
}

export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    // Without a key only the status comes.
    queryFn: async () => (await call(api.GET("/api/v1/health"))) as Partial<Schema["Health"]>,
    staleTime: 60_000,
  });
}

export type AccessKey = Schema["Key"];

export function useKeys() {
  return useQuery({ queryKey: ["keys"], queryFn: () => call(api.GET("/api/v1/keys")) });
}

export function useMakeKey() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { label: string; role: Role }) => call(api.POST("/api/v1/keys", { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["keys"] }),
  });
}

/** Sent even while the page closes. */
export function revokeKey(key_id: string): Promise<unknown> {
  return call(api.DELETE("/api/v1/keys/{key_id}", { params: { path: { key_id } }, keepalive: true }));
}

/** What a carer may change while the server runs. */
export type HouseRules = Schema["CurrentSettings"];

const RULES = ["house"];

export function useHouseRules(enabled: boolean) {
  return useQuery({ queryKey: RULES, queryFn: () => call(api.GET("/api/v1/settings")), enabled });
}

export function useChangeHouseRules() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Partial<Schema["SettingsChange"]>) =>
      call(api.PATCH("/api/v1/settings", { body: body as Schema["SettingsChange"] })),
    onSuccess: () => Promise.all([RULES, ["due"]].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
}

/** Who was not seen for so long that the server forgets them, and whether it believes the clock. */
export function useDue(enabled: boolean) {
  return useQuery({ queryKey: ["due"], queryFn: () => call(api.GET("/api/v1/retention")), enabled });
}

/** Forget those who are due, at once; for good. */
export function usePurge() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { person_ids: string[]; clock_is_right: boolean }) =>
      call(api.POST("/api/v1/purge", { body })),
    onSuccess: ({ person_ids }) =>
      Promise.all([queries.invalidateQueries({ queryKey: ["due"] }), refreshPeople(queries, ...person_ids)]),
  });
}
