import { createStore, useStore } from "./store";

/** What a person chose on this device. Nothing here says anything about anybody's face. */
export interface Preferences {
  /** A code of `languages/`, or null: the browser's. */
  language: string | null;
  theme: "system" | "light" | "dark";
  textSize: "normal" | "large" | "largest";
  /** Names are spoken. */
  speech: boolean;
  /** 0.5–1.5, 1 is the voice's own. */
  speechRate: number;
  /** `voiceURI` of a voice, or null: the first of the language. */
  voice: string | null;
  /** The camera to use: one of the device's, or the one that faces this way. */
  camera: { deviceId: string } | { facing: "user" | "environment" };
  /** The camera was stopped by hand, and stays so until it is started by hand. */
  stopped: boolean;
}

const KEY = "visage.preferences";

const DEFAULTS: Preferences = {
  language: null,
  theme: "system",
  textSize: "normal",
  speech: true,
  speechRate: 1,
  voice: null,
  camera: { facing: "user" },
  stopped: false,
};

export const preferences = createStore<Preferences>({ ...DEFAULTS, ...read() });

export function usePreferences(): Preferences {
  return useStore(preferences);
}

/** Change some, and keep them on this device. */
export function prefer(changes: Partial<Preferences>): void {
  preferences.set({ ...preferences.get(), ...changes });
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences.get()));
  } catch {
    // A browser that keeps nothing forgets them when the page closes.
  }
}

/** Put theme and text size on the document, now and whenever they change. */
export function applyPreferences(): void {
  const apply = () => {
    const { theme, textSize } = preferences.get();
    const root = document.documentElement;
    root.dataset.theme = theme;
    root.dataset.text = textSize;
  };
  preferences.subscribe(apply);
  apply();
}

function read(): Partial<Preferences> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof kept === "object" && kept !== null ? (kept as Partial<Preferences>) : {};
  } catch {
    return {};
  }
}
