import { type ReactNode, type RefObject, useEffect, useRef } from "react";
import { useLanguage } from "@/lib/i18n";
import { useStore } from "@/lib/store";
import { type Engine, live } from "./engine";
import { onStage, type Rect, type Size } from "./geometry";
import { glide } from "./motion";
import type { Seen } from "./scene";

/** The picture of the camera, and a frame around each face. */
export function Stage({
  video,
  engine,
  focus,
  onChoose,
  children,
}: {
  video: RefObject<HTMLVideoElement | null>;
  engine: Engine | null;
  focus: number | null;
  onChoose: (trackId: number) => void;
  children: ReactNode;
}) {
  const stage = useRef<HTMLDivElement>(null);
  const marks = useRef(new Map<number, HTMLElement>());
  const { people, mirrored, camera } = useStore(live);
  const on = camera === "on";

  useEffect(() => {
    const element = stage.current;
    if (engine === null || element === null) return;
    const shown = new Map<number, Rect>();
    let before = performance.now();
    let request = requestAnimationFrame(function draw(now) {
      const elapsed = now - before;
      before = now;
      const size = { width: element.clientWidth, height: element.clientHeight };
      for (const trackId of shown.keys()) if (!marks.current.has(trackId)) shown.delete(trackId);
      for (const [trackId, mark] of marks.current) {
        const part = engine.boxOf(trackId, now);
        if (part === null) continue;
        const target = onStage(part, engine.frameSize(), size, live.get().mirrored);
        const box = glide(shown.get(trackId), target, elapsed);
        shown.set(trackId, box);
        place(mark, box, size);
      }
      request = requestAnimationFrame(draw);
    });
    return () => cancelAnimationFrame(request);
  }, [engine]);

  return (
    <div ref={stage} className="absolute inset-0">
      <video
        ref={video}
        muted
        playsInline
        aria-hidden="true"
        tabIndex={-1}
        className={`size-full object-cover ${mirrored ? "-scale-x-100" : ""} ${on ? "" : "invisible"}`}
      />
      {on &&
        people.map((one) => (
          <Mark
            key={one.trackId}
            seen={one}
            isFocus={one.trackId === focus}
            onChoose={() => onChoose(one.trackId)}
            attach={(element) => {
              if (element === null) marks.current.delete(one.trackId);
              else marks.current.set(one.trackId, element);
            }}
          />
        ))}
      {children}
    </div>
  );
}

/** Put a mark around a face; its label stays on the stage. */
function place(mark: HTMLElement, box: Rect, stage: Size): void {
  const outside = box.x + box.width < 0 || box.x > stage.width || box.y + box.height < 0 || box.y > stage.height;
  mark.style.visibility = outside ? "hidden" : "visible";
  mark.style.transform = `translate(${box.x.toFixed(1)}px, ${box.y.toFixed(1)}px)`;
  mark.style.width = `${box.width.toFixed(1)}px`;
  mark.style.height = `${box.height.toFixed(1)}px`;
  const label = mark.querySelector<HTMLElement>("[data-label]");
  if (label === null) return;
  const middle = box.x + box.width / 2;
  label.style.visibility = middle < 0 || middle > stage.width ? "hidden" : "inherit";
  const { offsetWidth: width, offsetHeight: height } = label;
  const left = clamp(middle - width / 2, GAP, stage.width - width - GAP);
  const below = box.y + box.height * 1.06 + GAP;
  const top = below + height + GAP < stage.height ? below : box.y - box.height * 0.06 - height - GAP;
  label.style.transform = `translate(${(left - box.x).toFixed(1)}px, ${(top - box.y).toFixed(1)}px)`;
}

const GAP = 8;

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

/**
 * The frame around a face: a full line for who is known, a broken one for who might be, corners alone for the others.
 */
function Mark({
  seen,
  isFocus,
  onChoose,
  attach,
}: {
  seen: Seen;
  isFocus: boolean;
  onChoose: () => void;
  attach: (element: HTMLElement | null) => void;
}) {
  const { t } = useLanguage();
  const label =
    seen.kind === "known"
      ? seen.name
      : seen.kind === "maybe"
        ? t("live.maybe.title", { name: seen.name })
        : seen.kind === "unknown"
          ? t("live.unknown.label")
          : null;
  return (
    <button
      type="button"
      ref={attach}
      onClick={onChoose}
      aria-label={t("live.select", { name: label ?? t("live.unclear.title") })}
      aria-pressed={isFocus}
      data-kind={seen.kind}
      className="group absolute top-0 left-0 min-h-11 min-w-11 rounded-3xl will-change-transform focus-visible:outline-4 focus-visible:outline-offset-8 focus-visible:outline-white"
    >
      <span aria-hidden="true" className={`absolute -inset-[6%] rounded-3xl ${LINES[seen.kind]}`}>
        {(seen.kind === "unknown" || seen.kind === "unclear") && <Corners thin={seen.kind === "unclear"} />}
      </span>
      {label !== null && (
        <span
          aria-hidden="true"
          data-label=""
          className={`absolute top-0 left-0 max-w-[40vw] truncate rounded-full px-3.5 py-1 font-semibold whitespace-nowrap shadow-lg ${LABELS[seen.kind]}`}
        >
          {label}
        </span>
      )}
    </button>
  );
}

const LINES: Record<Seen["kind"], string> = {
  known: "border-4 border-[#93d6c8] shadow-[0_0_0_2px_rgb(0_0_0/0.55),inset_0_0_0_2px_rgb(0_0_0/0.4)]",
  maybe: "border-4 border-dashed border-[#f3c977]",
  unknown: "",
  unclear: "opacity-70",
};

const LABELS: Record<Seen["kind"], string> = {
  known: "bg-accent text-on-accent",
  maybe: "bg-maybe-tint text-maybe border-2 border-dashed border-maybe",
  unknown: "bg-surface text-ink",
  unclear: "",
};

function Corners({ thin }: { thin: boolean }) {
  const line = thin ? "border-2" : "border-4";
  const each = `absolute size-1/4 border-white drop-shadow-[0_0_2px_black] ${line}`;
  return (
    <>
      <span className={`${each} top-0 left-0 rounded-tl-3xl border-r-0 border-b-0`} />
      <span className={`${each} top-0 right-0 rounded-tr-3xl border-b-0 border-l-0`} />
      <span className={`${each} bottom-0 left-0 rounded-bl-3xl border-t-0 border-r-0`} />
      <span className={`${each} right-0 bottom-0 rounded-br-3xl border-t-0 border-l-0`} />
    </>
  );
}
