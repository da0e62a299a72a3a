import { SearchX, UserPlus, Users } from "lucide-react";
import { useCallback } from "react";
import { Link, useLocation, useSearch } from "wouter";
import type { Person } from "@/client/api";
import { type Order, usePeople } from "@/client/people";
import { useLastSeen } from "@/client/report";
import { useMay } from "@/client/session";
import { Button, ButtonLink } from "@/components/button";
import { Choice } from "@/components/field";
import { Page } from "@/components/page";
import { Empty, Failed, Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";
import { sayWhen } from "@/lib/when";
import { Portrait } from "./portrait";
import { SearchField } from "./search-field";

/** Everybody who is remembered: pictures in a grid, found as one types. */
export default function People() {
  const { t } = useLanguage();
  const may = useMay("editor");
  const [{ words, order }, look] = useLook();
  const search = useCallback((typed: string) => look({ words: typed }), [look]);
  const people = usePeople(words, order);
  const pages = people.data?.pages;
  const total = pages?.at(-1)?.total ?? 0;
  const nobodyYet = pages !== undefined && total === 0 && words === "" && !people.isPlaceholderData;
  const add = may && (
    <ButtonLink href="/add" look="primary" icon={<UserPlus aria-hidden="true" />}>
      {t("people.add")}
    </ButtonLink>
  );
  return (
    <Page title={t("nav.people")} wide actions={!nobodyYet && add}>
      {nobodyYet ? (
        <Empty icon={<Users />} title={t("people.empty.title")} action={add}>
          {t(may ? "people.empty.text" : "people.empty.viewer")}
        </Empty>
      ) : (
        <div className="grid gap-5">
          <div className="grid max-w-xl gap-2">
            <SearchField given={words} onSearch={search} />
            <p role="status" className="min-h-6 pl-1 text-soft">
              {pages !== undefined &&
                !people.isPlaceholderData &&
                t(words === "" ? "people.count" : "people.found", { count: total })}
            </p>
          </div>
          {total > 1 && (
            <div data-screen-only>
              <Choice<Order>
                label={t("people.order")}
                value={order}
                options={(["newest", "name"] as const).map((value) => ({ value, label: t(`people.order.${value}`) }))}
                onChange={(value) => look({ order: value })}
              />
            </div>
          )}
          {pages === undefined ? (
            people.isError ? (
              <Failed error={people.error} retry={() => void people.refetch()} />
            ) : (
              <Loading />
            )
          ) : total === 0 ? (
            <Empty icon={<SearchX />} title={t("people.none.title", { words })}>
              {t("people.none.text")}
            </Empty>
          ) : (
            <Grid people={pages.flatMap((page) => page.persons)} />
          )}
          {people.hasNextPage && (
            <Button
              className="justify-self-center"
              busy={people.isFetchingNextPage}
              onClick={() => people.fetchNextPage()}
            >
              {t("people.more")}
            </Button>
          )}
        </div>
      )}
    </Page>
  );
}

/** What is searched for and in which order, kept in the address: it is there again after "back". */
function useLook(): [{ words: string; order: Order }, (change: { words?: string; order?: Order }) => void] {
  const given = useSearch();
  const [, go] = useLocation();
  const params = new URLSearchParams(given);
  const words = params.get("search") ?? "";
  const order = params.get("order") === "name" ? "name" : "newest";
  const look = useCallback(
    (change: { words?: string; order?: Order }) => {
      const next = new URLSearchParams(location.search);
      const set = (key: string, value: string) => (value === "" ? next.delete(key) : next.set(key, value));
      if (change.words !== undefined) set("search", change.words);
      if (change.order !== undefined) set("order", change.order === "newest" ? "" : change.order);
      const address = next.size === 0 ? "/people" : `/people?${next}`;
      if (location.pathname === "/people" && address !== location.pathname + location.search)
        go(address, { replace: true });
    },
    [go],
  );
  return [{ words, order }, look];
}

function Grid({ people }: { people: readonly Person[] }) {
  const { t, code } = useLanguage();
  const seen = useLastSeen();
  return (
    <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(9.25rem,100%),1fr))] gap-3 sm:grid-cols-[repeat(auto-fill,minmax(11.5rem,1fr))] sm:gap-5">
      {people.map((person) => {
        const last = seen.get(person.person_id) ?? person.last_seen_at;
        return (
          <li key={person.person_id}>
            <Link
              href={`/people/${person.person_id}`}
              className="flex h-full flex-col overflow-hidden rounded-card border border-line bg-surface transition-shadow hover:shadow-lg"
            >
              <Portrait personId={person.person_id} className="aspect-square w-full rounded-none" />
              <span className="block p-3.5 sm:p-4">
                <span className="block text-lg leading-snug font-bold">{person.name}</span>
                {person.relationship !== null && <span className="block text-soft">{person.relationship}</span>}
                {last != null && (
                  <span className="mt-1 block text-sm text-soft">
                    {t("people.seen", { when: sayWhen(last, code) })}
                  </span>
                )}
              </span>
            </Link>
          </li>
        );
      })}
    </ul>
  );
}
