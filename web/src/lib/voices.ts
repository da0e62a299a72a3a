import { createStore, useStore } from "./store";

/*
 * The voices of this device. Only those that speak on the device itself: others send what they say, the names of
 * people, to a server elsewhere.
 */
const voices = createStore<readonly SpeechSynthesisVoice[]>([]);
const looked = createStore(false);
const LOADED_AFTER_MS = 1_500;

if (typeof speechSynthesis !== "undefined") {
  const read = () => {
    voices.set(speechSynthesis.getVoices().filter((voice) => voice.localService));
    if (voices.get().length > 0) looked.set(true);
  };
  speechSynthesis.addEventListener?.("voiceschanged", read);
  read();
  setTimeout(() => looked.set(true), LOADED_AFTER_MS); // browsers load them late, and do not say that there are none
} else {
  looked.set(true);
}

/** The voices that speak a language. */
export function voicesFor(code: string): readonly SpeechSynthesisVoice[] {
  return voices.get().filter((voice) => voice.lang.replace("_", "-").split("-")[0]?.toLowerCase() === code);
}

/** The voice to use: the chosen one where it speaks the language, else the device's own choice. */
export function voiceFor(code: string, chosen: string | null): SpeechSynthesisVoice | undefined {
  const fitting = voicesFor(code);
  return fitting.find((voice) => voice.voiceURI === chosen) ?? fitting.find((voice) => voice.default) ?? fitting[0];
}

/** The voices of a language; `ready` once it is known that there are no more. */
export function useVoices(code: string): { voices: readonly SpeechSynthesisVoice[]; ready: boolean } {
  useStore(voices);
  return { voices: voicesFor(code), ready: useStore(looked) };
}
