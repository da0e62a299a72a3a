import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, call, type Schema } from "./api";
import { useMay } from "./session";

export type BankReport = Schema["BankReport"];

export const reportQuery = queryOptions({
  queryKey: ["report"],
  queryFn: async () => (await call(api.GET("/api/v1/bank/report"))) as BankReport,
  staleTime: 30_000,
});

export function useReport() {
  return useQuery(reportQuery);
}

/** When each person was seen last, where the one who looks at the page may know that. */
export function useLastSeen(): ReadonlyMap<string, string> {
  const may = useMay("editor");
  const { data } = useQuery({ ...reportQuery, enabled: may });
  return new Map(data?.seen.map((seen) => [seen.person_id, seen.last_seen_at]));
}
