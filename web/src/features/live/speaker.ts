import { preferences } from "@/lib/preferences";
import { createStore } from "@/lib/store";
import { voiceFor } from "@/lib/voices";

/** Browsers let a page speak only once it was touched; until then it waits. */
export const awaitsTouch = createStore(false);

let waiting: { text: string; code: string } | null = null;

/** Say something, in place of what is being said. Returns whether there is a voice for it. */
export function say(text: string, code: string): boolean {
  const { voice: chosen, speechRate } = preferences.get();
  const voice = typeof speechSynthesis === "undefined" ? undefined : voiceFor(code, chosen);
  if (voice === undefined) return false;
  if (navigator.userActivation?.hasBeenActive === false) {
    wait(text, code);
    return true;
  }
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.voice = voice;
  utterance.lang = voice.lang;
  utterance.rate = speechRate;
  utterance.onerror = (event) => {
    if (event.error === "not-allowed") wait(text, code);
  };
  speechSynthesis.cancel();
  speechSynthesis.speak(utterance);
  return true;
}

export function hush(): void {
  waiting = null;
  awaitsTouch.set(false);
  if (typeof speechSynthesis !== "undefined") speechSynthesis.cancel();
}

function wait(text: string, code: string): void {
  waiting = { text, code };
  awaitsTouch.set(true);
}

function touched(): void {
  awaitsTouch.set(false);
  const kept = waiting;
  waiting = null;
  if (kept !== null) say(kept.text, kept.code);
}

if (typeof document !== "undefined")
  for (const kind of ["pointerup", "keyup"]) document.addEventListener(kind, touched);
