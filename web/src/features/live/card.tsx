import {
  ArrowLeft,
  ArrowRight,
  ArrowUp,
  Check,
  CircleQuestionMark,
  Moon,
  ScanFace,
  UserRoundX,
  WifiOff,
  X,
} from "lucide-react";
import type { CSSProperties, ReactNode } from "react";
import { lineToRemember, portraitOf, usePerson } from "@/client/people";
import { Button } from "@/components/button";
import { FacePicture } from "@/components/face-picture";
import { useLanguage } from "@/lib/i18n";
import type { Activity } from "./activity";
import type { Side } from "./geometry";
import type { Named, Seen } from "./scene";

/** The one card: who that is, to be read from two metres. */
export function Card({
  focus,
  before,
  activity,
  onName,
  onYes,
  onNo,
}: {
  focus: Seen | null;
  /** Who was there a moment ago; stands for as long as it takes to read it. */
  before: Named | null;
  activity: Activity;
  /** "Who is this?"; null where the key does not allow it. */
  onName: ((seen: Seen) => void) | null;
  /** "Yes, it is Anna"; null where the key does not allow it. */
  onYes: ((person: Named) => void) | null;
  onNo: (person: Named) => void;
}) {
  const { t } = useLanguage();
  if (focus?.kind === "known") return <Known person={focus} aside={<Where side={focus.side} />} />;
  if (focus?.kind === "maybe") return <Maybe person={focus} onYes={onYes} onNo={onNo} />;
  if (before !== null && focus === null) return <Known person={before} aside={t("live.known.before")} />;
  if (focus?.kind === "unknown")
    return (
      <Words
        icon={<CircleQuestionMark />}
        look="unknown"
        title={t("live.unknown.title")}
        text={t("live.unknown.text")}
      >
        {onName !== null && (
          <Button look="primary" onClick={() => onName(focus)} className="mt-3 text-lg">
            {t("live.name.title")}
          </Button>
        )}
      </Words>
    );
  if (activity === "dark")
    return <Words icon={<Moon />} title={t("live.activity.dark")} text={t("live.dark.text")} />;
  if (focus?.kind === "unclear")
    return <Words icon={<ScanFace />} title={t("live.unclear.title")} text={t("live.unclear.text")} />;
  if (activity === "disconnected")
    return <Words icon={<WifiOff />} title={t("live.activity.disconnected")} text={t("live.disconnected.text")} />;
  if (activity === "nobody")
    return <Words icon={<UserRoundX />} title={t("live.activity.nobody")} text={t("live.nobody.text")} />;
  if (activity === "looking" || activity === "starting")
    return <Words icon={<ScanFace />} title={t(`live.activity.${activity}`)} text="" />;
  return null;
}

/** Known: a full line, the picture as it is, the name alone. */
function Known({ person, aside }: { person: Named; aside: ReactNode }) {
  const details = usePerson(person.personId).data;
  const remember = details ? lineToRemember(details.metadata) : null;
  const relationship = details?.relationship ?? person.relationship;
  const name = details?.name ?? person.name;
  return (
    <div data-state="known" className={LAYOUT} style={sizes(name, relationship, remember)}>
      <FacePicture
        name=""
        src={details ? portraitOf(details) : null}
        className={`${PICTURE} border-4 border-accent p-0.5`}
      />
      <p className={LABEL}>{aside}</p>
      <div className={TEXT}>
        <p className={`${NAME} font-extrabold`}>{name}</p>
        {relationship && <p className={`${RELATIONSHIP} font-semibold`}>{relationship}</p>}
        {remember && <p className={LINE}>{remember}</p>}
      </div>
    </div>
  );
}

/** Might be: a broken line, a question, the picture to compare with. */
function Maybe({
  person,
  onYes,
  onNo,
}: {
  person: Named;
  onYes: ((person: Named) => void) | null;
  onNo: (person: Named) => void;
}) {
  const { t } = useLanguage();
  const details = usePerson(person.personId).data;
  const title = t("live.maybe.title", { name: person.name });
  return (
    <div data-state="maybe" className={LAYOUT} style={sizes(title.replaceAll(" ", "_"), person.relationship, null)}>
      <div className="relative">
        <FacePicture
          name=""
          src={details ? portraitOf(details) : null}
          className={`${PICTURE} border-4 border-dashed border-maybe p-1`}
        />
        <span
          aria-hidden="true"
          className="absolute -right-2 -bottom-2 grid size-8 place-items-center rounded-full border-2 border-maybe bg-maybe-tint text-lg font-bold text-maybe @3xl/card:size-11 @3xl/card:text-2xl"
        >
          ?
        </span>
      </div>
      <p className={`${LABEL} font-semibold text-maybe!`}>{t("live.maybe.label")}</p>
      <div className={TEXT}>
        <p className={`${NAME} font-semibold`}>{title}</p>
        {person.relationship && <p className={`${RELATIONSHIP} text-soft`}>{person.relationship}</p>}
        {onYes !== null && (
          <div className="mt-3 flex flex-wrap gap-2 text-lg">
            <Button look="primary" icon={<Check aria-hidden="true" />} onClick={() => onYes(person)}>
              {t("live.yes", { name: person.name })}
            </Button>
            <Button icon={<X aria-hidden="true" />} onClick={() => onNo(person)}>
              {t("live.no")}
            </Button>
          </div>
        )}
      </div>
    </div>
  );
}

/** Nobody known, or nothing to see. */
function Words({
  icon,
  title,
  text,
  look = "quiet",
  children,
}: {
  icon: ReactNode;
  title: string;
  text: string;
  look?: "quiet" | "unknown";
  children?: ReactNode;
}) {
  return (
    <div data-state={look} className={ROW}>
      <span
        aria-hidden="true"
        className={`grid shrink-0 place-items-center text-soft [&>svg]:size-1/2 ${PICTURE} ${look === "unknown" ? "border-2 border-edge" : "bg-sunken"} rounded-full!`}
      >
        {icon}
      </span>
      <div className="min-w-0 flex-1">
        <p className="text-[max(1.375rem,min(3.5rem,7.5cqi,8dvh))] leading-tight font-bold text-balance">{title}</p>
        {text !== "" && (
          <p className="mt-1 text-[max(1.125rem,min(2.5rem,5.5cqi,5dvh))] leading-snug text-soft">{text}</p>
        )}
        {children}
      </div>
    </div>
  );
}

const ARROWS: Record<Side, ReactNode> = { left: <ArrowLeft />, ahead: <ArrowUp />, right: <ArrowRight /> };

function Where({ side }: { side: Side }) {
  const { t } = useLanguage();
  return (
    <>
      <span aria-hidden="true" className="[&>svg]:size-6 text-accent">
        {ARROWS[side]}
      </span>
      <span className="inline-block first-letter:uppercase">{t(`live.side.${side}`)}</span>
    </>
  );
}

/** Narrow: the picture beside the label, and the text below with all the width. Wide: the picture beside everything. */
const LAYOUT =
  "grid min-w-0 flex-1 grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2 [--letters:7.5cqi] [--room:100cqi] " +
  "@xl/card:[--letters:9.5cqi] @3xl/card:gap-x-6 @3xl/card:gap-y-0 @3xl/card:[--room:calc(100cqi-13rem)] " +
  "@3xl/card:[&>:first-child]:row-span-2";
const LABEL = "flex min-w-0 items-center gap-2 text-lg leading-tight text-soft @3xl/card:self-end @3xl/card:text-xl";
const TEXT = "col-span-2 grid min-w-0 gap-1 @3xl/card:col-span-1 @3xl/card:self-start";
const NAME = "text-(length:--name) leading-[1.08] tracking-tight wrap-anywhere hyphens-auto";
const RELATIONSHIP = "text-(length:--relationship) leading-[1.12] wrap-anywhere hyphens-auto";
const LINE = "mt-1 text-(length:--line) leading-[1.2] text-soft wrap-anywhere";

/** Widths of a letter, bold and half bold, in parts of the font's size; generous, since letters differ. */
const BOLD = 0.6;
const HALF_BOLD = 0.56;
/** A line to remember that is longer is written smaller. */
const SHORT = 40;

/**
 * Sizes for the distance from which a card is read: on a tablet that stands in the room 4.65 rem and more for name and
 * relationship, so that capitals are 9.3 mm high on a screen of 10.9 inches, for two metres; on a phone in the hand
 * what its width gives. The name is as large as its longest word fits, and never smaller than the relationship.
 */
function sizes(name: string, relationship: string | null, remember: string | null): CSSProperties {
  const far = "max(1.5rem, min(4.65rem, 12cqi, 9.3dvh))";
  const widest = (text: string, letter: number) => `var(--room) * ${(1 / (letter * longestWord(text))).toFixed(3)}`;
  const size = `max(${far}, min(6.5rem, 20cqi, 14dvh, ${widest(name, BOLD)}))`;
  const shrunk = Math.max(0.55, Math.min(1, Math.sqrt(SHORT / (remember?.length ?? 1))));
  return {
    "--name": size,
    "--relationship": `max(0.75 * ${far}, min(${far}, ${widest(relationship ?? "", HALF_BOLD)}))`,
    "--line": `max(1.125rem, ${shrunk.toFixed(2)} * min(4.2rem, var(--letters), 8dvh))`,
  } as CSSProperties;
}

function longestWord(text: string): number {
  return Math.max(1, ...text.split(/[\s-]+/).map((word) => word.length));
}

const ROW =
  "flex min-w-0 flex-1 flex-col items-start gap-3 @2xs/card:flex-row @2xs/card:items-center @2xs/card:gap-4 @xl/card:gap-6";
const PICTURE = "size-16 @sm/card:size-20 @xl/card:size-24 @3xl/card:size-44 flat:size-14";
