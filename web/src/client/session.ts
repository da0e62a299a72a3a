import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { clearDrafts } from "@/lib/drafts";
import { releaseAll } from "@/lib/held";
import { ApiError, errorOf } from "./api";
import { connection } from "./connection";

export type Role = "viewer" | "editor" | "admin";

export interface Session {
  required: boolean;
  signed_in: boolean;
  role: Role | null;
}

const RANK: Record<Role, number> = { viewer: 0, editor: 1, admin: 2 };

/** A server that has no sessions asks for no key. */
const NO_KEY_NEEDED: Session = { required: false, signed_in: true, role: "admin" };

async function ask(method: "GET" | "POST" | "DELETE", key?: string): Promise<Session> {
  const init: RequestInit = { method, cache: "no-store" };
  if (key !== undefined) {
    init.body = JSON.stringify({ key });
    init.headers = { "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch("/api/v1/session", init);
  } catch {
    connection.check();
    throw new ApiError("NO_CONNECTION", "The server cannot be reached", 0);
  }
  if (response.status === 404) return NO_KEY_NEEDED;
  const body = await response.json().catch(() => undefined);
  if (!response.ok) throw errorOf(body, response);
  return body.data as Session;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: () => ask("GET"),
  staleTime: Number.POSITIVE_INFINITY,
});

export function useSession() {
  return useQuery(sessionQuery);
}

/** Whether the one who looks at the page may do what a role may. The server decides again. */
export function useMay(role: Role): boolean {
  const { data } = useSession();
  return data?.role != null && RANK[data.role] >= RANK[role];
}

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (key: string) => ask("POST", key),
    onSuccess: (session) => queries.setQueryData(sessionQuery.queryKey, session),
  });
}

export function useSignOut() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      await releaseAll(); // what waits to be undone is done while it still may be
      return ask("DELETE");
    },
    onSuccess: (session) => queries.setQueryData(sessionQuery.queryKey, session),
  });
}

/** Whoever looked at the page may not any more: what was fetched or written goes, all but that it ended. */
export function useForgetAnswers(): void {
  const queries = useQueryClient();
  useEffect(() => {
    clearDrafts();
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== sessionQuery.queryKey[0] });
  }, [queries]);
}
