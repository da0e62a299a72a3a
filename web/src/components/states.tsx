import type { UseQueryResult } from "@tanstack/react-query";
import { CircleAlert, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { useSlow } from "@/lib/use-slow";
import { Button } from "./button";
import { Spinner } from "./spinner";

/** Something is on its way; quiet for the first moment. */
export function Loading() {
  const { t } = useLanguage();
  const slow = useSlow(true);
  return (
    <div role="status" className="grid min-h-40 place-items-center text-soft">
      {slow && (
        <p className="flex items-center gap-3">
          <Spinner /> {t("state.loading")}
        </p>
      )}
    </div>
  );
}

/** Nothing is here yet, why that is fine, and what to do. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className="mx-auto grid max-w-md animate-rise justify-items-center gap-4 px-4 py-12 text-center">
      <div className="grid size-20 place-items-center rounded-full bg-tint text-accent [&>svg]:size-9">{icon}</div>
      <h2 className="text-2xl">{title}</h2>
      {children && <div className="text-lg text-soft">{children}</div>}
      {action && <div className="mt-2">{action}</div>}
    </div>
  );
}

/** It did not work, why, and the way on. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useLanguage();
  return (
    <div
      role="alert"
      className="mx-auto flex max-w-xl flex-wrap items-center gap-4 rounded-card bg-danger-tint p-5 text-danger"
    >
      <CircleAlert aria-hidden="true" className="size-7 shrink-0" />
      <p className="min-w-40 flex-1 font-medium">{explain(error, t)}</p>
      {retry && (
        <Button icon={<RotateCw aria-hidden="true" />} onClick={retry}>
          {t("action.again")}
        </Button>
      )}
    </div>
  );
}

/** A query in whichever state it is: loading, failed, or its data. What is there stays while it is fetched again. */
export function Await<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Failed error={query.error} retry={() => void query.refetch()} />;
  return <Loading />;
}
