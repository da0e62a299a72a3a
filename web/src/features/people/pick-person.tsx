import { useState } from "react";
import type { Person } from "@/client/api";
import { usePeople } from "@/client/people";
import { Button } from "@/components/button";
import { Failed, Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";
import { Portrait } from "./portrait";
import { SearchField } from "./search-field";

/** Find someone by face or name, and pick. */
export function PickPerson({ except, onPick }: { except?: string; onPick: (person: Person) => void }) {
  const { t } = useLanguage();
  const [words, setWords] = useState("");
  const query = usePeople(words, "name");
  const people = query.data?.pages.flatMap((page) => page.persons).filter((each) => each.person_id !== except);
  return (
    <div className="grid gap-4">
      <SearchField onSearch={setWords} />
      {people === undefined ? (
        query.isError ? (
          <Failed error={query.error} retry={() => void query.refetch()} />
        ) : (
          <Loading />
        )
      ) : people.length === 0 ? (
        <p role="status" className="py-6 text-center text-lg text-soft">
          {t("pick.nobody")}
        </p>
      ) : (
        <ul className="grid max-h-[45dvh] grid-cols-2 gap-3 overflow-y-auto p-1 sm:grid-cols-3">
          {people.map((person) => (
            <li key={person.person_id}>
              <button
                type="button"
                onClick={() => onPick(person)}
                className="flex h-full w-full flex-col overflow-hidden rounded-card border border-line bg-surface text-left focus-visible:-outline-offset-3"
              >
                <Portrait personId={person.person_id} className="aspect-square w-full rounded-none" />
                <span className="block p-3">
                  <span className="block leading-snug font-bold">{person.name}</span>
                  {person.relationship !== null && <span className="block text-soft">{person.relationship}</span>}
                </span>
              </button>
            </li>
          ))}
          {query.hasNextPage && (
            <li className="col-span-full grid">
              <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                {t("people.more")}
              </Button>
            </li>
          )}
        </ul>
      )}
    </div>
  );
}
