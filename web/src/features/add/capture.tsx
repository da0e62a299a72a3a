import { Aperture, ArrowLeft, ArrowRight, Check, CircleCheck, SwitchCamera, VideoOff } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button } from "@/components/button";
import { Spinner } from "@/components/spinner";
import { Empty } from "@/components/states";
import { useLanguage } from "@/lib/i18n";
import { VIEWS, type View } from "./guidance";
import { jpegOf } from "./prepare";
import { frameOf, useCamera, useGuidedShots } from "./use-capture";

/** The camera that takes three views by itself: straight, a little left, a little right. */
export function Capture({ onShot, onDone }: { onShot: (shot: Blob, good: boolean) => void; onDone: () => void }) {
  const { t } = useLanguage();
  const video = useRef<HTMLVideoElement>(null);
  const { state, mirrored, several, swap, again } = useCamera(video);
  const [step, setStep] = useState(0);
  const [flash, setFlash] = useState(0);
  const view = VIEWS[step] ?? null;

  const take = (shot: Blob, good: boolean) => {
    onShot(shot, good);
    setFlash((n) => n + 1);
    navigator.vibrate?.(60);
    setStep((n) => n + 1);
  };
  const seen = useGuidedShots(video, state === "on" ? view : null, (shot) => take(shot, true));
  const takeNow = async () => {
    const picture = video.current && frameOf(video.current);
    if (picture) take(await jpegOf(picture, 0.93), false);
  };
  const panel = useRef<HTMLDivElement>(null);
  useEffect(() => {
    panel.current?.scrollIntoView({ block: "nearest" }); // it may return a promise, which is no clean-up
  }, []);

  const off = state !== "on" && state !== "starting";
  const hint = seen.said ?? "wait";
  return (
    <div ref={panel} className="grid gap-4">
      <div className="relative overflow-hidden rounded-card bg-black text-white">
        <video
          ref={video}
          muted
          playsInline
          aria-label={t("capture.video")}
          className={`aspect-[3/4] max-h-[62dvh] w-full object-cover sm:aspect-[4/3] ${mirrored ? "-scale-x-100" : ""} ${off ? "invisible" : ""}`}
        />
        {state === "starting" && (
          <p role="status" className="absolute inset-0 flex items-center justify-center gap-3 text-lg">
            <Spinner /> {t("capture.starting")}
          </p>
        )}
        {off && (
          <div className="absolute inset-0 grid place-items-center overflow-y-auto bg-surface text-ink">
            <Empty
              icon={<VideoOff />}
              title={t(`capture.${state}.title`)}
              action={state !== "insecure" && <Button onClick={again}>{t("action.again")}</Button>}
            >
              {t(`capture.${state}.text`)}
            </Empty>
          </div>
        )}
        {state === "on" && (
          <>
            <Oval good={hint === "good" || view === null} />
            <Steps step={step} />
            {view !== null && <TurnArrow view={view} mirrored={mirrored} />}
            <div
              key={flash}
              aria-hidden="true"
              className={flash > 0 ? "animate-flash absolute inset-0 bg-white" : ""}
            />
            <p
              role="status"
              className="absolute inset-x-3 bottom-3 flex min-h-16 items-center justify-center gap-3 rounded-2xl bg-black/75 px-4 py-3 text-center text-xl leading-snug font-semibold text-balance sm:text-2xl"
            >
              {(hint === "good" || view === null) && <CircleCheck aria-hidden="true" className="size-7 shrink-0" />}
              {view === null ? t("capture.done") : t(`hint.${hint}`)}
            </p>
          </>
        )}
      </div>
      <div className="flex flex-wrap gap-3">
        {state === "on" && view !== null && (
          <Button icon={<Aperture aria-hidden="true" />} onClick={() => void takeNow()}>
            {t("capture.now")}
          </Button>
        )}
        {state === "on" && several && (
          <Button look="quiet" icon={<SwitchCamera aria-hidden="true" />} onClick={swap}>
            {t("capture.swap")}
          </Button>
        )}
        <Button look={view === null ? "primary" : "quiet"} icon={<Check aria-hidden="true" />} onClick={onDone}>
          {t(step === 0 ? "capture.close" : "capture.enough")}
        </Button>
      </div>
    </div>
  );
}

/** Where the face belongs. */
function Oval({ good }: { good: boolean }) {
  return (
    <svg viewBox="0 0 400 400" aria-hidden="true" className="pointer-events-none absolute inset-0 m-auto h-4/5 w-4/5">
      <ellipse
        cx="200"
        cy="186"
        rx="102"
        ry="134"
        fill="none"
        stroke={good ? "#93d6c8" : "white"}
        strokeOpacity={good ? 1 : 0.75}
        strokeWidth={good ? 8 : 4}
        strokeDasharray={good ? undefined : "2 14"}
        strokeLinecap="round"
      />
    </svg>
  );
}

/** Which of the views are taken. */
function Steps({ step }: { step: number }) {
  const { t } = useLanguage();
  return (
    <ol className="absolute inset-x-3 top-3 flex justify-center gap-2">
      {VIEWS.map((view, index) => (
        <li
          key={view}
          aria-current={index === step ? "step" : undefined}
          className={`flex min-h-9 items-center gap-1.5 rounded-full px-3 text-sm font-semibold sm:text-base ${
            index === step ? "bg-white text-black" : "bg-black/75 text-white"
          }`}
        >
          {index < step && <Check aria-hidden="true" className="size-5" />}
          {t(`view.${view}`)}
          {index < step && <span className="sr-only">{t("view.taken")}</span>}
        </li>
      ))}
    </ol>
  );
}

/** Which way to turn: in a mirror, one's left is on the left. */
function TurnArrow({ view, mirrored }: { view: View; mirrored: boolean }) {
  if (view === "straight") return null;
  const onLeft = (view === "left") === mirrored;
  const Arrow = onLeft ? ArrowLeft : ArrowRight;
  return (
    <span
      aria-hidden="true"
      className={`absolute top-1/2 grid size-16 -translate-y-1/2 animate-breathe place-items-center rounded-full bg-white text-black ${onLeft ? "left-4" : "right-4"}`}
    >
      <Arrow className="size-9" />
    </span>
  );
}
