import { SearchX, UserPlus, Users } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import type { Person } from "@/client/api";
import { usePeople } from "@/client/people";
import { useLastSeen } from "@/client/report";
import { useMay } from "@/client/session";
import { Button, ButtonLink } from "@/components/button";
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
  const [words, setWords] = useState("");
  const people = usePeople(words);
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
            <SearchField onSearch={setWords} />
            <p role="status" className="min-h-6 pl-1 text-soft">
              {pages !== undefined &&
                !people.isPlaceholderData &&
                t(words === "" ? "people.count" : "people.found", { count: total })}
            </p>
          </div>
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
