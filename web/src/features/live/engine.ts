import type { IdentifiedFace } from "@/client/api";
import { connection } from "@/client/connection";
import type { Evidence } from "@/client/live";
import { prefer, preferences } from "@/lib/preferences";
import { createStore } from "@/lib/store";
import { type Activity, activityOf } from "./activity";
import {
  type CameraState,
  isAllowed,
  isMirror,
  keepAwake,
  listCameras,
  nextCamera,
  openCamera,
  problemOf,
} from "./camera";
import type { Rect, Size } from "./geometry";
import { type Link, openLink } from "./link";
import { predict } from "./motion";
import { FIRST_PACE, intervalMs, measured, sendSize } from "./pace";
import { advance, doubt, everybody, type Hearsay, NOBODY, type Seen, tell } from "./scene";

/** What the screen shows; changes only when there is something else to show. */
export interface Live {
  camera: CameraState;
  activity: Activity;
  people: readonly Seen[];
  mirrored: boolean;
  /** There is another camera to switch to. */
  switchable: boolean;
  frozen: boolean;
}

const NOT_YET: Live = {
  camera: "off",
  activity: "off",
  people: [],
  mirrored: true,
  switchable: false,
  frozen: false,
};

export const live = createStore<Live>(NOT_YET);

/** JPEG quality of the frames that are sent, 0–1. */
const QUALITY = 0.82;
/** A lost camera is looked for again so often. */
const LOOK_AGAIN_MS = 2_000;
/** A picture that has not moved for so long has died, as after sleep. */
const FROZEN_AFTER_MS = 4_000;
/** Nobody was there for so long: fewer frames do. */
const RESTING_AFTER_MS = 15_000;
/** Between two attempts to take a frame, where there is none. */
const IDLE_MS = 60;

export interface Engine {
  start(): void;
  stop(): void;
  switchCamera(): void;
  /** Where a face is now, in parts of the frame; null where it is gone. */
  boxOf(trackId: number, nowMs: number): Rect | null;
  frameSize(): Size;
  /** Hold the picture; gives a picture of one face. */
  freeze(trackId: number): Promise<Blob | null>;
  thaw(): void;
  /** The latest answer that speaks of a face, for "that's wrong" and "yes". */
  evidenceOf(trackId: number): Evidence | null;
  /** Somebody said that a face is a person, or is not, for as long as it stays; null takes that back. */
  tell(trackId: number, personId: string, is: boolean | null): void;
  /** Whom a face resembles, the likest first. */
  likely(trackId: number): IdentifiedFace["candidates"];
  /** The screen is left. */
  end(): void;
}

/** Runs camera, connection and the frames between them, for as long as the screen is open. */
export function startEngine(video: HTMLVideoElement): Engine {
  const canvas = document.createElement("canvas");
  const tiny = document.createElement("canvas");
  tiny.width = 32;
  tiny.height = 24;
  const ended = new AbortController();

  let stream: MediaStream | undefined;
  let link: Link | undefined;
  let awake: AbortController | undefined;
  let wanted = false;
  let opening = 0;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let tracks = NOBODY;
  let hearsay: Hearsay = new Map();
  let pace = FIRST_PACE;
  let brightness: number | null = null;
  let lastFaceMs = Number.NEGATIVE_INFINITY;
  let connected = true;
  let moved = { time: -1, atMs: 0 };

  const publish = (changes: Partial<Live> = {}) => {
    const next = { ...live.get(), ...changes };
    const people = everybody(tracks, frameSize(), next.mirrored);
    const inTheDark =
      tracks.size > 0 &&
      [...tracks.values()].every(({ face }) => face.quality.issues.includes("TOO_DARK")) &&
      people.every((one) => one.kind === "unclear");
    next.people = people;
    next.activity = activityOf({
      camera: next.camera,
      connected: connected && connection.state.get() !== "lost",
      brightness,
      people,
      facesInTheDark: inTheDark,
      lastFaceMs,
      nowMs: performance.now(),
    });
    if (!isSame(next, live.get())) live.set(next);
  };

  const frameSize = (): Size => ({ width: video.videoWidth || 16, height: video.videoHeight || 9 });

  const openUp = async () => {
    opening += 1;
    const attempt = opening;
    clearTimeout(retry);
    if (live.get().camera !== "lost") publish({ camera: "starting" });
    try {
      const opened = await openCamera(preferences.get().camera);
      if (attempt !== opening || !wanted) {
        for (const track of opened.getTracks()) track.stop();
        return;
      }
      stream = opened;
      opened.getVideoTracks()[0]?.addEventListener("ended", lose);
      video.srcObject = opened;
      await video.play().catch(() => {}); // "paused to save power" plays when it comes back into sight
      moved = { time: -1, atMs: performance.now() };
      awake = new AbortController();
      keepAwake(awake.signal);
      link ??= openLink((open) => {
        if (open) connected = true;
        else {
          connected = false;
          tracks = NOBODY;
          hearsay = new Map(); // another connection counts its faces anew
        }
        publish();
      });
      publish({ camera: "on", mirrored: isMirror(opened), frozen: false });
      publish({ switchable: (await listCameras()).length > 1 });
    } catch (error) {
      if (attempt !== opening || !wanted) return;
      const problem = problemOf(error);
      publish({ camera: problem });
      if (problem !== "insecure") retry = setTimeout(() => void recover(), LOOK_AGAIN_MS);
    }
  };

  /** What went wrong may have been mended: a camera plugged in, a permission given, another program closed. */
  const recover = async () => {
    if (!wanted || document.hidden || stream !== undefined) return;
    const refused = live.get().camera === "refused";
    if (refused && !(await isAllowed())) retry = setTimeout(() => void recover(), LOOK_AGAIN_MS);
    else void openUp();
  };

  const lose = () => {
    shutCamera();
    if (!wanted) return;
    publish({ camera: "lost" });
    retry = setTimeout(() => void recover(), LOOK_AGAIN_MS / 4);
  };

  const shutCamera = () => {
    opening += 1;
    clearTimeout(retry);
    for (const track of stream?.getTracks() ?? []) {
      track.removeEventListener("ended", lose);
      track.stop();
    }
    stream = undefined;
    video.srcObject = null;
    awake?.abort();
    tracks = NOBODY;
    brightness = null;
  };

  const shut = () => {
    shutCamera();
    link?.close();
    link = undefined;
    hearsay = new Map();
    connected = true;
  };

  const watch = () => {
    const now = performance.now();
    if (video.currentTime !== moved.time || live.get().frozen) moved = { time: video.currentTime, atMs: now };
    else if (now - moved.atMs > FROZEN_AFTER_MS) lose();
  };

  /** Take frames, one after the other, until the screen is left. Names never outlive a frame that failed. */
  const run = async () => {
    while (!ended.signal.aborted) {
      try {
        await step();
      } catch (error) {
        reportError(error);
        tracks = NOBODY;
        publish();
        await sleep(LOOK_AGAIN_MS);
      }
    }
  };

  const step = async () => {
    const takenMs = performance.now();
    const asked = link;
    if (stream !== undefined) watch();
    const ready = stream !== undefined && video.videoWidth > 0 && !video.paused && asked?.isOpen === true;
    if (!ready || live.get().frozen || document.hidden) {
      publish();
      await sleep(IDLE_MS);
      return;
    }
    const frame = await photograph();
    const sentMs = performance.now();
    const reply = frame === null ? null : await asked.ask(frame);
    if (asked !== link || stream === undefined) return;
    if (reply === null) {
      publish();
      await sleep(IDLE_MS * 5);
      return;
    }
    const nowMs = performance.now();
    pace = measured(pace, nowMs - sentMs);
    tracks = advance(tracks, reply, takenMs, hearsay);
    if (reply.faces.length > 0) lastFaceMs = nowMs;
    publish();
    const resting = nowMs - lastFaceMs > RESTING_AFTER_MS;
    await sleep(Math.max(0, intervalMs(pace, resting) - (performance.now() - takenMs)));
  };

  const photograph = async (): Promise<ArrayBuffer | null> => {
    const size = sendSize(frameSize(), pace.sidePx);
    Object.assign(canvas, size);
    canvas.getContext("2d", { alpha: false })?.drawImage(video, 0, 0, size.width, size.height);
    brightness = brightnessOf(canvas, tiny);
    const blob = await toJpeg(canvas, QUALITY);
    return (await blob?.arrayBuffer()) ?? null;
  };

  const onVisibility = () => {
    if (!wanted) return;
    if (document.hidden) {
      shut();
      publish({ camera: "starting", frozen: false });
    } else void openUp();
  };
  document.addEventListener("visibilitychange", onVisibility, { signal: ended.signal });
  navigator.mediaDevices?.addEventListener("devicechange", () => void recover(), { signal: ended.signal });

  const engine: Engine = {
    start() {
      prefer({ stopped: false });
      wanted = true;
      void openUp();
    },
    stop() {
      prefer({ stopped: true });
      wanted = false;
      shut();
      publish({ camera: "off", frozen: false });
    },
    switchCamera() {
      if (stream === undefined) return;
      const current = stream;
      void listCameras().then((cameras) => {
        prefer({ camera: nextCamera(current, cameras) });
        shutCamera();
        void openUp();
      });
    },
    boxOf(trackId, nowMs) {
      const track = tracks.get(trackId);
      if (track === undefined) return null;
      return live.get().frozen ? track.motion.box : predict(track.motion, nowMs);
    },
    frameSize,
    async freeze(trackId) {
      const track = tracks.get(trackId);
      if (track === undefined) return null;
      video.pause();
      publish({ frozen: true });
      return crop(video, track.motion.box);
    },
    thaw() {
      if (!live.get().frozen) return;
      tracks = NOBODY; // while the picture stood still, everybody may have moved
      void video.play().catch(() => {});
      moved = { time: -1, atMs: performance.now() };
      publish({ frozen: false });
    },
    evidenceOf(trackId) {
      const track = tracks.get(trackId);
      return track === undefined ? null : { identification_id: track.identificationId, box: track.face.box };
    },
    tell(trackId, personId, is) {
      hearsay = tell(hearsay, trackId, personId, is);
      tracks = doubt(tracks, trackId);
      publish();
    },
    likely: (trackId) => tracks.get(trackId)?.face.candidates ?? [],
    end() {
      ended.abort();
      wanted = false;
      shut();
      live.set(NOT_YET);
    },
  };

  void run();
  if (!preferences.get().stopped)
    void isAllowed().then((allowed) => {
      if (allowed && !ended.signal.aborted && !wanted) engine.start();
    });
  return engine;
}

function isSame(a: Live, b: Live): boolean {
  return JSON.stringify(withoutSizes(a)) === JSON.stringify(withoutSizes(b));
}

/** How near a face is changes with every frame; only the order is of interest, which the list has. */
function withoutSizes(state: Live): unknown {
  return { ...state, people: state.people.map((one) => ({ ...one, near: 0, identificationId: "" })) };
}

function brightnessOf(picture: HTMLCanvasElement, tiny: HTMLCanvasElement): number | null {
  const context = tiny.getContext("2d", { alpha: false, willReadFrequently: true });
  if (context === null) return null;
  context.drawImage(picture, 0, 0, tiny.width, tiny.height);
  const { data } = context.getImageData(0, 0, tiny.width, tiny.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4)
    sum += 0.299 * (data[i] ?? 0) + 0.587 * (data[i + 1] ?? 0) + 0.114 * (data[i + 2] ?? 0);
  return (4 * sum) / data.length;
}

/** A face with head and shoulders, as it is in the camera, unmirrored. */
function crop(video: HTMLVideoElement, part: Rect): Promise<Blob | null> {
  const face = {
    x: (part.x + part.width / 2) * video.videoWidth,
    y: (part.y + part.height / 2) * video.videoHeight,
    size: Math.max(part.width * video.videoWidth, part.height * video.videoHeight),
  };
  const half = Math.min(face.size * 1.1, video.videoWidth / 2, video.videoHeight / 2);
  const left = Math.min(Math.max(face.x - half, 0), video.videoWidth - 2 * half);
  const top = Math.min(Math.max(face.y - half, 0), video.videoHeight - 2 * half);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(2 * half);
  canvas
    .getContext("2d", { alpha: false })
    ?.drawImage(video, left, top, 2 * half, 2 * half, 0, 0, canvas.width, canvas.height);
  return toJpeg(canvas, 0.92);
}

function toJpeg(canvas: HTMLCanvasElement, quality: number): Promise<Blob | null> {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
