import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { usePeople } from "@/client/people";
import { likest } from "@/client/unknowns";
import { Portrait } from "@/features/people/portrait";
import { useLanguage } from "@/lib/i18n";

/** Whom one can choose. */
export interface Someone {
  person_id: string;
  name: string;
  relationship: string | null;
}

const MOST = 3;
const PAUSE_MS = 150;

const plain = (text: string) => text.trim().replace(/\s+/g, " ").toLocaleLowerCase();

/** Is that how this person is called? Case and spaces make no other name. */
export function isCalled({ name }: Pick<Someone, "name">, words: string): boolean {
  return plain(name) === plain(words);
}

/** Those whose name or relationship begins so, or has a word that does; the name before the relationship. */
export function matching<T extends Someone>(people: readonly T[], words: string): T[] {
  const begins = (text: string | null) => ` ${plain(text ?? "")}`.includes(` ${plain(words)}`);
  const byName = people.filter(({ name }) => begins(name));
  return [...byName, ...people.filter((one) => begins(one.relationship) && !byName.includes(one))].slice(0, MOST);
}

/** Who is here already and may be meant: whom the face resembles, and as one types who is called so. */
export function AlreadyHere({
  words,
  likely,
  src,
  onPick,
}: {
  words: string;
  /** Whom the face resembles, the likest first; null: ask the server about the picture. */
  likely: readonly Someone[] | null;
  src: string | null;
  onPick: (someone: Someone) => void;
}) {
  const { t } = useLanguage();
  const asked = useQuery({
    queryKey: ["likest", src],
    queryFn: async () => (src === null ? [] : likest(await (await fetch(src)).blob())),
    enabled: likely === null && src !== null,
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: keepPreviousData,
  });
  const found = usePeople(usePaused(words), "name").data?.pages.flatMap((page) => page.persons) ?? [];
  const shown = words === "" ? (likely ?? asked.data ?? []).slice(0, MOST) : matching(found, words);
  return (
    <div role="status">
      {shown.length > 0 && (
        <>
          <p className="mb-2 text-soft">{t(words === "" ? "unknown.likely" : "unknown.here")}</p>
          <Choices people={shown} onPick={onPick} />
        </>
      )}
    </div>
  );
}

/** People to choose from, each a button with picture, name and relationship. */
export function Choices<T extends Someone>({
  people,
  say = (name) => name,
  onPick,
}: {
  people: readonly T[];
  say?: (name: string) => ReactNode;
  onPick: (someone: T) => void;
}) {
  return (
    <ul className="grid gap-2">
      {people.map((one) => (
        <li key={one.person_id}>
          <button
            type="button"
            onClick={() => onPick(one)}
            className="flex min-h-16 w-full items-center gap-4 rounded-2xl border-2 border-edge bg-surface p-1.5 pr-4 text-left hover:bg-sunken"
          >
            <Portrait personId={one.person_id} className="size-14 rounded-xl" />
            <span className="min-w-0 flex-1 leading-snug wrap-anywhere">
              <span className="block text-lg font-bold">{say(one.name)}</span>
              {one.relationship && <span className="block text-soft">{one.relationship}</span>}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function usePaused(words: string): string {
  const [paused, setPaused] = useState(words);
  useEffect(() => {
    const timer = setTimeout(() => setPaused(words), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [words]);
  return paused;
}
