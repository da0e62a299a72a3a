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
    <div data-state="known" className={ROW}>
      <FacePicture
        name=""
        src={details ? portraitOf(details) : null}
        className={`${PICTURE} border-4 border-accent p-0.5`}
      />
      <div className="min-w-0 flex-1">
        <p className="flex items-center gap-2 text-lg text-soft">{aside}</p>
        <p style={nameSize(name)} className={`${NAME} font-extrabold`}>
          {name}
        </p>
        {relationship && (
          <p className="mt-1 text-xl leading-tight font-semibold @2xs/card:text-2xl @3xl/card:text-[2rem]">
            {relationship}
          </p>
        )}
        {remember && (
          <p className="mt-1.5 text-lg leading-snug @2xs/card:text-xl text-soft @3xl/card:text-2xl">{remember}</p>
        )}
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
    <div data-state="maybe" className={ROW}>
      <div className="relative">
        <FacePicture
          name=""
          src={details ? portraitOf(details) : null}
          className={`${PICTURE} border-4 border-dashed border-maybe p-1`}
        />
        <span
          aria-hidden="true"
          className="absolute -right-2 -bottom-2 grid size-11 place-items-center rounded-full border-2 border-maybe bg-maybe-tint text-2xl font-bold text-maybe"
        >
          ?
        </span>
      </div>
      <div className="min-w-0 flex-1">
        <p className="text-lg font-semibold text-maybe">{t("live.maybe.label")}</p>
        <p style={nameSize(title)} className={`${NAME} font-semibold`}>
          {title}
        </p>
        {person.relationship && (
          <p className="mt-1 text-xl leading-tight text-soft @3xl/card:text-2xl">{person.relationship}</p>
        )}
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
        <p className="text-2xl leading-tight @2xs/card:text-[1.75rem] font-bold text-balance @3xl/card:text-[2.5rem]">
          {title}
        </p>
        {text !== "" && <p className="mt-1 text-lg leading-snug text-soft @3xl/card:text-xl">{text}</p>}
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

const ROW =
  "flex min-w-0 flex-1 flex-col items-start gap-3 @2xs/card:flex-row @2xs/card:items-center @2xs/card:gap-4 @xl/card:gap-6 flat:flex-row flat:items-center flat:gap-4";
const PICTURE = "size-24 @sm/card:size-28 @xl/card:size-36 @3xl/card:size-44 flat:size-24";

/** As large as the longest word of it fits beside the picture: to be read from two metres. */
function nameSize(text: string): CSSProperties {
  const words = text.split(/[\s-]+/);
  const longest = Math.max(...words.map((word) => word.length));
  const [rem, width] = words.length === 1 ? [5.5, 15] : [4.25, 12];
  return { fontSize: `min(${rem}rem, ${width}cqi, ${Math.round(1000 / longest) / 10}cqi)` };
}

const NAME = "leading-[1.08] tracking-tight break-words hyphens-auto";
