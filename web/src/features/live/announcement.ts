import type { Translate } from "@/lib/i18n";
import type { Named, Seen } from "./scene";

const MAX_WORDS = 12;
const MAX_NAMES = 3;

type Heard = Pick<Named, "name" | "relationship" | "side">;

/** From the richest to the leanest; the first that is short enough is said. */
const FORMS: readonly { relationship: boolean; side: boolean; names: number }[] = [
  { relationship: true, side: true, names: 3 },
  { relationship: true, side: false, names: 3 },
  { relationship: false, side: true, names: 3 },
  { relationship: false, side: false, names: 3 },
  { relationship: true, side: false, names: 2 },
  { relationship: false, side: false, names: 2 },
  { relationship: true, side: true, names: 1 },
  { relationship: false, side: true, names: 1 },
  { relationship: false, side: false, names: 1 },
];

/** What to say of people who were recognised, the nearest first: at most twelve words, three names and then a count. */
export function announce(people: readonly Heard[], t: Translate): string {
  if (people.length === 0) return "";
  const forms = FORMS.map((form) => {
    const named = people.slice(0, Math.min(form.names, MAX_NAMES));
    const sentences = named.map((one) => sentence(one, form, t));
    const more = people.length - named.length;
    if (more > 0) sentences.push(t("live.say.more", { count: more }));
    return sentences.join(" ");
  });
  return forms.find((text) => words(text) <= MAX_WORDS) ?? cut(forms[forms.length - 1] ?? "");
}

/** What to say when asked who is there: also who might be somebody, and how many nobody knows. */
export function answer(people: readonly Seen[], t: Translate): string {
  const known = people.filter((one): one is Named => one.kind === "known");
  const maybe = people.filter((one): one is Named => one.kind === "maybe");
  const strangers = people.filter((one) => one.kind === "unknown").length;
  const parts = [
    announce(known, t),
    ...maybe.map(({ name }) => t("live.say.maybe", { name })),
    strangers > 0 ? t("live.say.strangers", { count: strangers }) : "",
  ].filter((part) => part !== "");
  if (parts.length === 0) return t(people.length > 0 ? "live.say.unclear" : "live.say.nobody");
  return parts.reduce((text, part) => (words(`${text} ${part}`) <= MAX_WORDS ? `${text} ${part}` : text));
}

function sentence(one: Heard, form: { relationship: boolean; side: boolean }, t: Translate): string {
  const parts = [one.name];
  if (form.relationship && one.relationship) parts.push(one.relationship);
  if (form.side) parts.push(t(`live.side.${one.side}`));
  return `${parts.join(", ")}.`;
}

function words(text: string): number {
  return text.trim().split(/\s+/).length;
}

function cut(text: string): string {
  return text.split(/\s+/).slice(0, MAX_WORDS).join(" ");
}
