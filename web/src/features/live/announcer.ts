import { t } from "@/lib/i18n";
import { preferences } from "@/lib/preferences";
import { announce, answer } from "./announcement";
import { due, type Said, unsaid, withSaid } from "./encounters";
import { live } from "./engine";
import type { Named } from "./scene";
import { hush, say } from "./speaker";

/** People who come together are announced together: so long the second one is waited for. */
const GATHER_MS = 700;
const LOOK_EVERY_MS = 1_000;

let said: Said = new Map();

/** Say who comes, for as long as the screen is open; returns what ends that. */
export function startAnnouncer(): () => void {
  let gathering: ReturnType<typeof setTimeout> | undefined;
  const speak = () => {
    gathering = undefined;
    const people = duePeople();
    if (people.length > 0 && say(announce(people, t), languageOf())) said = withSaid(said, people, Date.now());
  };
  const look = () => {
    if (gathering === undefined && duePeople().length > 0) gathering = setTimeout(speak, GATHER_MS);
  };
  const ends = [live.subscribe(look), preferences.subscribe(look)];
  const timer = setInterval(look, LOOK_EVERY_MS);
  look();
  return () => {
    clearInterval(timer);
    clearTimeout(gathering);
    for (const end of ends) end();
    hush();
  };
}

/** Say who is there, because someone asked. */
export function sayAgain(): void {
  const { activity, people } = live.get();
  if (activity === "off" || activity === "blocked") say(t("live.say.off"), languageOf());
  else if (activity === "disconnected") say(t("live.say.disconnected"), languageOf());
  else if (activity === "dark") say(t("live.say.dark"), languageOf());
  else {
    say(answer(people, t), languageOf());
    said = withSaid(said, people.filter(isKnown), Date.now());
  }
}

/** What was said of someone was wrong. */
export function takeBackWords(personId: string): void {
  hush();
  said = unsaid(said, personId);
}

function duePeople(): Named[] {
  const { people, frozen } = live.get();
  if (!preferences.get().speech || frozen) return [];
  return due(said, people.filter(isKnown), Date.now());
}

function isKnown(one: { kind: string }): one is Named {
  return one.kind === "known";
}

function languageOf(): string {
  return document.documentElement.lang || "en";
}
