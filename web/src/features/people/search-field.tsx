import { Search, X } from "lucide-react";
import { useEffect, useId, useState } from "react";
import { useLanguage } from "@/lib/i18n";

const PAUSE_MS = 200;

/** Search as one types: the words arrive after a short pause. */
export function SearchField({ given = "", onSearch }: { given?: string; onSearch: (words: string) => void }) {
  const { t } = useLanguage();
  const id = useId();
  const [words, setWords] = useState(given);
  useEffect(() => setWords((now) => (now.trim() === given ? now : given)), [given]);
  useEffect(() => {
    const timer = setTimeout(() => onSearch(words.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [words, onSearch]);
  return (
    <div className="relative print:hidden">
      <label htmlFor={id} className="sr-only">
        {t("people.search")}
      </label>
      <Search
        aria-hidden="true"
        className="pointer-events-none absolute top-1/2 left-4 size-6 -translate-y-1/2 text-soft"
      />
      <input
        id={id}
        type="search"
        enterKeyHint="search"
        autoComplete="off"
        spellCheck={false}
        placeholder={t("people.search")}
        value={words}
        onChange={(event) => setWords(event.target.value)}
        className="min-h-14 w-full rounded-2xl border-2 border-edge bg-surface pr-14 pl-13 text-lg placeholder:text-soft [&::-webkit-search-cancel-button]:hidden"
      />
      {words !== "" && (
        <button
          type="button"
          aria-label={t("people.search.clear")}
          onClick={() => setWords("")}
          className="absolute top-1 right-1 grid size-12 place-items-center rounded-2xl hover:bg-sunken"
        >
          <X aria-hidden="true" />
        </button>
      )}
    </div>
  );
}
