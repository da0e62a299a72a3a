import type { Preferences } from "@/lib/preferences";

/** Why there is no picture. `insecure`: browsers give a camera only to HTTPS and to this very machine. */
export type CameraProblem = "refused" | "missing" | "busy" | "insecure" | "lost";
export type CameraState = "off" | "starting" | "on" | CameraProblem;

const PROBLEMS: Record<string, CameraProblem> = {
  NotAllowedError: "refused",
  SecurityError: "refused",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/** Ask for the camera that was chosen, or else any. Fails with what `problemOf` explains. */
export async function openCamera(choice: Preferences["camera"]): Promise<MediaStream> {
  if (navigator.mediaDevices === undefined) throw new DOMException("No camera without HTTPS", "InsecureContext");
  const wanted =
    "deviceId" in choice ? { deviceId: { exact: choice.deviceId } } : { facingMode: { ideal: choice.facing } };
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...PICTURE, ...wanted } });
  } catch (error) {
    // The chosen camera is not plugged in: another is better than none.
    if (problemOf(error) !== "missing" || !("deviceId" in choice)) throw error;
    return await navigator.mediaDevices.getUserMedia({ video: PICTURE });
  }
}

export function problemOf(error: unknown): CameraProblem {
  if (!(error instanceof DOMException)) return "lost";
  return error.name === "InsecureContext" ? "insecure" : (PROBLEMS[error.name] ?? "lost");
}

/** Does the picture show the one who looks at it, as a mirror? A camera that does not say so is taken for one. */
export function isMirror(stream: MediaStream): boolean {
  return stream.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
}

/** The cameras of this device; their names are known once one was allowed. */
export async function listCameras(): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices.filter((device) => device.kind === "videoinput" && device.deviceId !== "");
}

/** The next choice when the cameras are switched: the other side of a phone, or the next one plugged in. */
export function nextCamera(stream: MediaStream, cameras: readonly MediaDeviceInfo[]): Preferences["camera"] {
  const settings = stream.getVideoTracks()[0]?.getSettings();
  if (settings?.facingMode === "user") return { facing: "environment" };
  if (settings?.facingMode === "environment") return { facing: "user" };
  const index = cameras.findIndex((camera) => camera.deviceId === settings?.deviceId);
  const next = cameras[(index + 1) % cameras.length];
  return next === undefined ? { facing: "user" } : { deviceId: next.deviceId };
}

/** Whether the page may open the camera without asking. */
export async function isAllowed(): Promise<boolean> {
  try {
    const { state } = await navigator.permissions.query({ name: "camera" });
    return state === "granted";
  } catch {
    return false; // a browser that does not tell
  }
}

/** Keep the screen on while `signal` lasts; again whenever the page comes back into sight. */
export function keepAwake(signal: AbortSignal): void {
  let lock: WakeLockSentinel | undefined;
  const take = async () => {
    if (document.hidden || signal.aborted) return;
    try {
      lock = await navigator.wakeLock?.request("screen");
      if (signal.aborted) await lock?.release();
    } catch {
      // Low battery, say: then the screen goes dark as it always does.
    }
  };
  document.addEventListener("visibilitychange", () => void take(), { signal });
  signal.addEventListener("abort", () => void lock?.release().catch(() => {}));
  void take();
}
