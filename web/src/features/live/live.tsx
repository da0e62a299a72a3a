import { useQueryClient } from "@tanstack/react-query";
import { Eye, LoaderCircle, Moon, SwitchCamera, UserRoundX, VideoOff, VolumeX, WifiOff } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError } from "@/client/api";
import { isMe, notMe, takeBack } from "@/client/live";
import { useMay } from "@/client/session";
import { useTitle } from "@/components/page";
import { toast } from "@/components/toast";
import { NameFace, type Question } from "@/features/unknown/name-face";
import { teachingWords } from "@/features/unknown/teaching-words";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { usePreferences } from "@/lib/preferences";
import { useStore } from "@/lib/store";
import { useVoices } from "@/lib/voices";
import type { Activity } from "./activity";
import { sayAgain, startAnnouncer, takeBackWords } from "./announcer";
import { Card } from "./card";
import { Controls } from "./controls";
import { type Engine, live, startEngine } from "./engine";
import { focusOn } from "./focus";
import { NoteBar, useNotes } from "./notes";
import { Off } from "./off";
import type { Named, Seen } from "./scene";
import { awaitsTouch } from "./speaker";
import { Stage } from "./stage";

/** Who has left stays on the card for so long, to be read. */
const LINGER_MS = 4_000;

/** The camera, and who is there. */
export function Live() {
  const { t, code } = useLanguage();
  useTitle(t("nav.live"));
  const video = useRef<HTMLVideoElement>(null);
  const [engine, setEngine] = useState<Engine | null>(null);
  const { camera, activity, people, switchable } = useStore(live);
  const { speech } = usePreferences();
  const { voices, ready } = useVoices(code);
  const mayName = useMay("editor");
  const queries = useQueryClient();
  const [asked, setAsked] = useState<(Question & { trackId: number }) | null>(null);
  const { focus, choose, before } = useFocus(people);
  const notes = useNotes(people, focus);

  useEffect(() => {
    if (video.current === null) return;
    const started = startEngine(video.current);
    setEngine(started);
    const endSpeech = startAnnouncer();
    return () => {
      endSpeech();
      started.end();
    };
  }, []);

  const start = () => engine?.start();
  const named = focus?.kind === "known" || focus?.kind === "maybe" ? focus : null;

  /** What a viewer says is so for as long as the face stays; what an editor says is kept. */
  const correct = async ({ personId, name, trackId }: Named) => {
    const evidence = engine?.evidenceOf(trackId);
    if (evidence == null) return;
    const forget = () => engine?.tell(trackId, personId, null);
    takeBackWords(personId);
    engine?.tell(trackId, personId, false);
    if (!mayName) {
      const undo = async () => forget();
      return notes.add({ trackId, message: t("live.wrong.here", { name }), undo });
    }
    try {
      const undo_id = await notMe(personId, evidence);
      const undo = () => takeBack(undo_id).then(forget);
      notes.add({ trackId, message: t("live.wrong.done", { name }), undo });
    } catch (error) {
      forget();
      toast(explain(error, t));
    }
  };

  const confirm = async ({ personId, name, trackId }: Named) => {
    const evidence = engine?.evidenceOf(trackId);
    if (evidence == null) return;
    const forget = () => engine?.tell(trackId, personId, null);
    engine?.tell(trackId, personId, true);
    try {
      const { warnings, undo } = await isMe(queries, personId, evidence);
      const message = teachingWords(t("live.yes.done", { name }), name, warnings, t);
      notes.add({ trackId, message, undo: () => undo().then(forget) });
    } catch (error) {
      if (error instanceof ApiError && error.code === "FACE_NOT_USABLE") {
        const undo = async () => forget();
        return notes.add({ trackId, message: t("live.yes.here", { name }), undo });
      }
      forget();
      toast(explain(error, t));
    }
  };

  const ask = async ({ trackId, unknownId }: Seen) => {
    const likely = engine?.likely(trackId) ?? [];
    const picture = (await engine?.freeze(trackId)) ?? null;
    setAsked({ trackId, unknownId, picture, src: picture && URL.createObjectURL(picture), likely });
  };

  const close = () => {
    if (asked?.src != null) URL.revokeObjectURL(asked.src);
    setAsked(null);
    engine?.thaw();
  };

  const isOff = activity === "off" || activity === "blocked";
  const speaks = speech && voices.length > 0;
  return (
    <div className="@container/live flex min-w-0 flex-1 flex-col">
      <h1 className="sr-only">{t("nav.live")}</h1>
      <div className="flex min-w-0 flex-1 flex-col gap-3 p-2 sm:p-3 flat:flex-row tiny:flex-col">
        <section
          aria-label={t("nav.live")}
          className="relative min-h-[22dvh] flex-1 overflow-hidden rounded-card bg-sunken flat:sticky flat:top-2 flat:h-[calc(100dvh-1rem)] flat:flex-[11] tiny:relative tiny:top-auto tiny:order-last tiny:h-40 tiny:flex-none"
        >
          <Stage video={video} engine={engine} focus={focus?.trackId ?? null} onChoose={choose}>
            {camera !== "on" && <Off camera={camera} onStart={start} mayAdd={mayName} />}
          </Stage>
          <div className="pointer-events-none absolute inset-x-3 top-3 flex items-start justify-between gap-3">
            <Pill activity={activity} />
            {switchable && (
              <button
                type="button"
                onClick={() => engine?.switchCamera()}
                className="pointer-events-auto grid size-14 place-items-center rounded-full bg-surface text-ink shadow-lg hover:bg-sunken"
                aria-label={t("live.switch")}
              >
                <SwitchCamera aria-hidden="true" className="size-7" />
              </button>
            )}
          </div>
        </section>
        <section
          aria-label={t("live.panel")}
          className="flex min-w-0 flex-col gap-3 @7xl/live:flex-row @7xl/live:items-center @7xl/live:gap-8 @7xl/live:px-2 flat:flex-[9] flat:flex-col flat:items-stretch flat:gap-2"
        >
          <div
            className={`@container/card flex min-w-0 flex-1 flex-col justify-center gap-3 ${isOff ? "" : "min-h-60 flat:min-h-0"}`}
          >
            <div
              // What is spoken is not announced a second time by a screen reader.
              aria-live={speaks ? "off" : "polite"}
              className="flex min-w-0 items-center px-1 @xl/card:px-3"
            >
              <Card
                focus={focus}
                before={before}
                activity={activity}
                onName={mayName ? (seen) => void ask(seen) : null}
                onYes={mayName ? (person) => void confirm(person) : null}
                onNo={(person) => void correct(person)}
              />
            </div>
            <NoteBar note={notes.shown} onGone={notes.remove} />
            <AlsoHere people={people} focus={focus} onChoose={choose} />
          </div>
          <div className="bottom-[calc(4.25rem+env(safe-area-inset-bottom))] z-10 grid gap-2 bg-ground py-1 md:bottom-0 @min-[20rem]/live:sticky @7xl/live:w-68 flat:static flat:w-auto">
            <Notice wanted={speech && camera === "on"} hasVoice={!ready || voices.length > 0} />
            <Controls
              running={camera === "on" || camera === "starting" || camera === "lost"}
              onStart={start}
              onStop={() => engine?.stop()}
              onAgain={voices.length > 0 ? sayAgain : null}
              onWrong={named === null ? null : () => void correct(named)}
            />
          </div>
        </section>
      </div>
      <NameFace
        question={asked}
        onClose={close}
        onNamed={({ person_id, name, warnings, undo }) => {
          if (asked === null) return;
          const { trackId } = asked;
          engine?.tell(trackId, person_id, true);
          notes.add({
            trackId,
            message: teachingWords(t("live.name.done", { name }), name, warnings, t),
            undo: undo && (() => undo().then(() => engine?.tell(trackId, person_id, null))),
          });
        }}
      />
    </div>
  );
}

/** Whose card is shown, and who was on it a moment ago. */
function useFocus(people: readonly Seen[]): {
  focus: Seen | null;
  before: Named | null;
  choose: (trackId: number) => void;
} {
  const [chosen, choose] = useState<number | null>(null);
  const shown = useRef<number | null>(null);
  const focus = focusOn(people, shown.current, chosen);
  useEffect(() => {
    shown.current = focus?.trackId ?? null;
  });
  const [before, setBefore] = useState<Named | null>(null);
  useEffect(() => {
    if (focus?.kind === "known") setBefore(focus);
    else if (focus !== null) setBefore(null);
  }, [focus]);
  const gone = focus === null;
  useEffect(() => {
    if (!gone) return;
    const timer = setTimeout(() => setBefore(null), LINGER_MS);
    return () => clearTimeout(timer);
  }, [gone]);
  return { focus, before, choose };
}

const ICONS: Record<Activity, ReactNode> = {
  off: <VideoOff />,
  starting: <LoaderCircle className="animate-turn" />,
  blocked: <VideoOff />,
  disconnected: <WifiOff />,
  dark: <Moon />,
  nobody: <UserRoundX />,
  looking: <Eye />,
};

/** What the camera is doing; never what is spoken. */
function Pill({ activity }: { activity: Activity }) {
  const { t } = useLanguage();
  return (
    <p
      role="status"
      data-activity={activity}
      className="pointer-events-auto inline-flex min-h-11 items-center gap-2.5 rounded-full bg-surface py-2 pr-5 pl-4 text-lg font-semibold shadow-lg data-[activity=disconnected]:bg-maybe-tint data-[activity=disconnected]:text-maybe data-[activity=dark]:bg-maybe-tint data-[activity=dark]:text-maybe"
    >
      <span aria-hidden="true" className="[&>svg]:size-6">
        {ICONS[activity]}
      </span>
      {t(`live.activity.${activity}`)}
    </p>
  );
}

/** The others: a press puts one of them on the card. */
function AlsoHere({
  people,
  focus,
  onChoose,
}: {
  people: readonly Seen[];
  focus: Seen | null;
  onChoose: (trackId: number) => void;
}) {
  const { t } = useLanguage();
  const others = people.filter((one) => one.trackId !== focus?.trackId && one.kind !== "unclear");
  if (others.length === 0) return null;
  return (
    <div className="flex flex-wrap items-center gap-2 px-1 @xl/card:px-3 flat:flex-nowrap flat:overflow-x-auto flat:py-1">
      <span className="mr-1 shrink-0 text-soft">{t("live.also")}</span>
      {others.map((one) => (
        <button
          key={one.trackId}
          type="button"
          onClick={() => onChoose(one.trackId)}
          data-kind={one.kind}
          className="min-h-11 max-w-full shrink-0 truncate rounded-full border-2 border-accent bg-surface px-4 font-semibold hover:bg-sunken data-[kind=maybe]:border-dashed data-[kind=maybe]:border-maybe data-[kind=unknown]:border-edge"
        >
          {one.kind === "known"
            ? one.name
            : one.kind === "maybe"
              ? t("live.maybe.title", { name: one.name })
              : t("live.unknown.label")}
        </button>
      ))}
    </div>
  );
}

/** Why names are not spoken. */
function Notice({ wanted, hasVoice }: { wanted: boolean; hasVoice: boolean }) {
  const { t } = useLanguage();
  const touch = useStore(awaitsTouch);
  const text = hasVoice ? (touch ? t("live.notice.touch") : "") : t("live.notice.novoice");
  return (
    <div role="status">
      {wanted && text !== "" && (
        <p className="flex items-center gap-3 rounded-2xl bg-maybe-tint px-4 py-2.5 font-medium text-maybe">
          <VolumeX aria-hidden="true" className="size-6 shrink-0" />
          {text}
        </p>
      )}
    </div>
  );
}
