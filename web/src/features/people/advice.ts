import type { Schema } from "@/client/api";
import type { Translate } from "@/lib/i18n";

export type Advice = Schema["Help"];

/** Which photo of someone would help most, and how much, in words. */
export function adviceWords({ code, view, right_now, right_then }: Advice, name: string, t: Translate): string {
  const what = t(code === "BETTER_PHOTO" ? "advice.BETTER_PHOTO" : `advice.${view}`, { name });
  return `${what} ${t("advice.gain", { now: Math.round(100 * right_now), better: Math.round(100 * right_then) })}`;
}
