import type { CameraState } from "./camera";
import type { Seen } from "./scene";

/** What the camera is doing, in one word; always in sight. */
export type Activity = "off" | "starting" | "blocked" | "disconnected" | "dark" | "nobody" | "looking";

/** Mean brightness of a frame, 0–255, below which nothing can be told. */
const DARK = 28;

/** A face that was there so lately may be back in the next frame. */
const PATIENCE_MS = 1_200;

export interface Situation {
  camera: CameraState;
  connected: boolean;
  /** Of the last frame, 0–255; null before there was one. */
  brightness: number | null;
  people: readonly Seen[];
  /** All faces are too dark to be recognised. */
  facesInTheDark: boolean;
  lastFaceMs: number;
  nowMs: number;
}

export function activityOf(now: Situation): Activity {
  if (now.camera === "off") return "off";
  if (now.camera === "starting") return "starting";
  if (now.camera !== "on") return "blocked";
  if (!now.connected) return "disconnected";
  if (now.brightness === null) return "starting";
  if (now.people.length > 0) return now.facesInTheDark ? "dark" : "looking";
  if (now.brightness < DARK) return "dark";
  return now.nowMs - now.lastFaceMs < PATIENCE_MS ? "looking" : "nobody";
}
