import type { Rect } from "./geometry";

/** Where a face was when it was last photographed, and how fast it moved; parts of the frame, and those a millisecond. */
export interface Motion {
  box: Rect;
  speed: Rect;
  atMs: number;
}

const STILL: Rect = { x: 0, y: 0, width: 0, height: 0 };

/** Of a new measurement of the speed so much counts; the rest is what was believed. */
const GAIN = 0.5;

/** A face slows down by itself within this time, as far as one can tell … */
const COAST_MS = 220;

/** … and after so long without news nothing is known of its speed. */
const STALE_MS = 1_000;

/** The frame on the screen follows with this delay, so that it does not tremble. */
const GLIDE_MS = 45;

/** A face was found in a picture that was taken at this time. */
export function observe(before: Motion | undefined, box: Rect, atMs: number): Motion {
  const elapsed = before === undefined ? 0 : atMs - before.atMs;
  if (before === undefined || elapsed <= 0 || elapsed > STALE_MS) return { box, speed: STILL, atMs };
  const speed = each((side) => {
    const measured = (box[side] - before.box[side]) / elapsed;
    return before.speed[side] + GAIN * (measured - before.speed[side]);
  });
  return { box, speed, atMs };
}

/** Where it is now, most likely. */
export function predict({ box, speed, atMs }: Motion, nowMs: number): Rect {
  const coasted = COAST_MS * (1 - Math.exp(-Math.max(0, nowMs - atMs) / COAST_MS));
  return each((side) => box[side] + speed[side] * coasted);
}

/** The way from what is shown to where it should be, for one frame of the screen. */
export function glide(shown: Rect | undefined, target: Rect, elapsedMs: number): Rect {
  if (shown === undefined) return target;
  const part = 1 - Math.exp(-elapsedMs / GLIDE_MS);
  return each((side) => shown[side] + part * (target[side] - shown[side]));
}

function each(value: (side: keyof Rect) => number): Rect {
  return { x: value("x"), y: value("y"), width: value("width"), height: value("height") };
}
