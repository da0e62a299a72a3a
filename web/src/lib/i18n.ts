import { load } from "@/client/part";
import english from "@/languages/en.json";
import { preferences } from "./preferences";
import { createStore, useStore } from "./store";

/*
 * One file a language in `languages/`, named by its code; a new file is offered in the settings by itself. English
 * comes with the first load and stands in for what a language lacks; the others are fetched when they are chosen.
 *
 * A text may hold `{name}`; a text with `{count}` may come in the forms that the language has (`key.one`,
 * `key.other`, …), see Intl.PluralRules.
 */
type Texts = Record<string, string>;
type Plain<K extends string> = K extends `${infer Stem}.${Intl.LDMLPluralRule}` ? Stem | K : K;
export type Key = Plain<keyof typeof english>;
export type Values = Record<string, string | number>;
export type Translate = (key: Key, values?: Values) => string;

interface Language {
  code: string;
  texts: Texts;
}

const files = import.meta.glob<Texts>(["../languages/*.json", "!../languages/en.json"], { import: "default" });
const loaders = new Map(Object.entries(files).map(([path, fetchTexts]) => [codeOf(path), fetchTexts]));

/** The page is not kept waiting for its words. */
const PATIENCE_MS = 1_500;

const language = createStore<Language>({ code: "en", texts: english });

/** Codes of the languages there are. */
export const LANGUAGES: readonly string[] = ["en", ...loaders.keys()].sort();

/** The language to use: the chosen one, else the first of the browser's that there is. */
export function pickLanguage(chosen: string | null, wanted: readonly string[], there: readonly string[]): string {
  for (const code of chosen === null ? wanted : [chosen, ...wanted]) {
    if (there.includes(code)) return code;
    const base = code.split("-")[0] ?? code;
    if (there.includes(base)) return base;
  }
  return "en";
}

/** Follow the preference; resolves when the first language is there, or is long in coming. */
export async function startLanguages(): Promise<void> {
  const wanted = () => pickLanguage(preferences.get().language, navigator.languages, LANGUAGES);
  const follow = async () => {
    const code = wanted();
    if (code === language.get().code) return;
    const fetchTexts = loaders.get(code);
    const texts = fetchTexts === undefined ? english : await load(`language ${code}`, fetchTexts);
    if (code !== wanted()) return; // it came late
    language.set({ code, texts });
    document.documentElement.lang = code;
  };
  preferences.subscribe(() => void follow().catch(() => {}));
  // Without its file the page speaks English.
  await Promise.race([follow().catch(() => {}), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** The words for a key, in a language. */
export function translate(texts: Texts, code: string, key: string, values: Values = {}): string {
  const count = values.count;
  const form = typeof count === "number" ? `${key}.${new Intl.PluralRules(code).select(count)}` : key;
  const english_: Texts = english;
  const text =
    texts[form] ??
    texts[`${key}.other`] ??
    texts[key] ??
    english_[form] ??
    english_[`${key}.other`] ??
    english_[key] ??
    key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? value.toLocaleString(code) : value;
  });
}

/** `const { t, code } = useLanguage()`, in components. */
export function useLanguage(): { t: Translate; code: string } {
  const { code, texts } = useStore(language);
  return { t: (key, values) => translate(texts, code, key, values), code };
}

/** The words outside of components. */
export const t: Translate = (key, values) => {
  const { code, texts } = language.get();
  return translate(texts, code, key, values);
};

/** What a language calls itself. */
export function nameOfLanguage(code: string): string {
  return new Intl.DisplayNames([code], { type: "language" }).of(code) ?? code;
}

function codeOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1, -".json".length);
}
