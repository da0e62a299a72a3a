import { type RefObject, useEffect, useRef, useState } from "react";
import { ApiError } from "@/client/api";
import { detect } from "@/client/faces";
import { prefer, preferences } from "@/lib/preferences";
import { guide, isSteady, type View, WATCHING, type Watch, watch } from "./guidance";
import { jpegOf } from "./prepare";

/** Where the camera is: what keeps it from working is said in words, each with its own way out. */
export type CameraState = "starting" | "on" | "refused" | "missing" | "busy" | "insecure";

const LOOK_WIDTH = 640;
const PAUSE_MS = 220;
const AFTER_SHOT_MS = 900;
const AFTER_ERROR_MS = 1_000;

/** A camera that runs while the component is there. */
export function useCamera(video: RefObject<HTMLVideoElement | null>) {
  const [state, setState] = useState<CameraState>("starting");
  const [choice, setChoice] = useState(() => preferences.get().camera);
  const [turn, setTurn] = useState(0);
  const [mirrored, setMirrored] = useState(true);
  const [several, setSeveral] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn is another try
  useEffect(() => {
    let stream: MediaStream | null = null;
    let over = false;
    const stop = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    const begin = async () => {
      setState("starting");
      if (navigator.mediaDevices === undefined) return setState("insecure");
      const which = "deviceId" in choice ? { deviceId: { ideal: choice.deviceId } } : { facingMode: choice.facing };
      try {
        stream = await navigator.mediaDevices.getUserMedia({
          video: { ...which, width: { ideal: 1280 }, height: { ideal: 960 } },
        });
      } catch (error) {
        if (!over) setState(stateOf(error));
        return;
      }
      const element = video.current;
      const [track] = stream.getVideoTracks();
      if (over || element === null || track === undefined) return stop();
      track.addEventListener("ended", () => !over && setState("missing"));
      setMirrored(track.getSettings().facingMode !== "environment");
      element.srcObject = stream;
      await element.play().catch(() => {});
      const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
      if (over) return;
      setSeveral(devices.filter((device) => device.kind === "videoinput").length > 1);
      setState("on");
    };
    void begin();
    return () => {
      over = true;
      stop();
    };
  }, [choice, turn, video]);

  // A camera that is plugged in, or allowed, is used by itself.
  useEffect(() => {
    if (state !== "missing" && state !== "busy") return;
    const again = () => setTurn((n) => n + 1);
    navigator.mediaDevices.addEventListener("devicechange", again);
    return () => navigator.mediaDevices.removeEventListener("devicechange", again);
  }, [state]);

  const swap = () => {
    const facing = "facing" in choice && choice.facing === "user" ? "environment" : "user";
    setChoice({ facing });
    prefer({ camera: { facing } });
  };
  return { state, mirrored, several, swap, again: () => setTurn((n) => n + 1) };
}

function stateOf(error: unknown): CameraState {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "refused";
  return name === "NotReadableError" || name === "AbortError" ? "busy" : "missing";
}

/** Look at the video a few times a second until the view is good, and take the picture then. */
export function useGuidedShots(
  video: RefObject<HTMLVideoElement | null>,
  view: View | null,
  onShot: (shot: Blob) => void,
): Watch {
  const [seen, setSeen] = useState<Watch>(WATCHING);
  const shoot = useRef(onShot);
  shoot.current = onShot;
  useEffect(() => {
    setSeen(WATCHING);
    if (view === null) return;
    let over = false;
    let timer: ReturnType<typeof setTimeout>;
    let state = WATCHING;
    const look = async () => {
      let pause = PAUSE_MS;
      const picture = video.current && frameOf(video.current);
      if (picture && !document.hidden) {
        try {
          const small = await jpegOf(smaller(picture, LOOK_WIDTH), 0.85);
          const detection = await detect(small);
          if (over) return;
          state = watch(state, guide(detection, view));
          setSeen(state);
          if (isSteady(state)) {
            shoot.current(await jpegOf(picture, 0.93));
            return;
          }
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          pause = AFTER_ERROR_MS; // a lost server is said by the shell
        }
      }
      if (!over) timer = setTimeout(() => void look(), pause);
    };
    timer = setTimeout(() => void look(), view === "straight" ? PAUSE_MS : AFTER_SHOT_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [view, video]);
  return seen;
}

/** What the camera shows now; null before its first picture. */
export function frameOf(video: HTMLVideoElement): HTMLCanvasElement | null {
  if (video.videoWidth === 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return canvas;
}

function smaller(source: HTMLCanvasElement, width: number): HTMLCanvasElement {
  if (source.width <= width) return source;
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = Math.round((source.height * width) / source.width);
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
}
