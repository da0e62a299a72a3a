/** How large the frames are that are sent, and how often. */
export interface Pace {
  /** Longer side of a frame, pixels. */
  sidePx: number;
  /** A moving mean of how long an answer takes. */
  roundTripMs: number;
  /** Answers since the size last changed. */
  steadyFor: number;
}

const SIDES: readonly number[] = [480, 640, 800, 960, 1280];

/** Slower than this is felt: smaller frames. */
const TOO_SLOW_MS = 350;
/** Faster than this leaves room: larger frames, which show who stands further away. */
const ROOM_MS = 130;

const GAIN = 0.3;
const PATIENCE = { smaller: 3, larger: 12 };

/** Frames a second that are worth sending: between them faces move little, and the prediction does the rest. */
const FASTEST_MS = 66;
/** While nobody is there, as often is enough; it spares battery and server. */
const RESTING_MS = 250;
/** Of the time, the server is left this part for others. */
const IDLE_PART = 0.15;

export const FIRST_PACE: Pace = { sidePx: 960, roundTripMs: 200, steadyFor: 0 };

/** An answer came after so long. */
export function measured(pace: Pace, roundTripMs: number): Pace {
  const mean = pace.roundTripMs + GAIN * (roundTripMs - pace.roundTripMs);
  const steadyFor = pace.steadyFor + 1;
  const index = SIDES.indexOf(pace.sidePx);
  const smaller = SIDES[index - 1];
  const larger = SIDES[index + 1];
  if (mean > TOO_SLOW_MS && steadyFor >= PATIENCE.smaller && smaller !== undefined)
    return { sidePx: smaller, roundTripMs: (TOO_SLOW_MS + ROOM_MS) / 2, steadyFor: 0 };
  if (mean < ROOM_MS && steadyFor >= PATIENCE.larger && larger !== undefined)
    return { sidePx: larger, roundTripMs: (TOO_SLOW_MS + ROOM_MS) / 2, steadyFor: 0 };
  return { sidePx: pace.sidePx, roundTripMs: mean, steadyFor };
}

/** From taking one frame to taking the next, at least so long. */
export function intervalMs(pace: Pace, resting: boolean): number {
  return Math.max(resting ? RESTING_MS : FASTEST_MS, pace.roundTripMs * (1 + IDLE_PART));
}

/** The size to send a picture of the camera in; never larger than it is. */
export function sendSize(
  camera: { width: number; height: number },
  sidePx: number,
): { width: number; height: number } {
  const scale = Math.min(1, sidePx / Math.max(camera.width, camera.height));
  return { width: Math.round(camera.width * scale), height: Math.round(camera.height * scale) };
}
