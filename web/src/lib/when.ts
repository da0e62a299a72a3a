const DAY_MS = 86_400_000;

/** A language as it is written where the reader is: of the browser's own, else English as the British write it. */
function regional(code: string): string {
  const own = globalThis.navigator?.languages.find((wanted) => wanted.startsWith(`${code}-`));
  return own ?? (code === "en" ? "en-GB" : code);
}

/** A moment as a person would say it: "today at 14:30", "yesterday at 9:05", "3 November". */
export function sayWhen(moment: string, code: string, now: Date = new Date()): string {
  const then = new Date(moment);
  const days = Math.round((midnight(then).getTime() - midnight(now).getTime()) / DAY_MS);
  if (days <= 0 && days >= -1) {
    const day = new Intl.RelativeTimeFormat(code, { numeric: "auto" }).format(days, "day");
    return `${day}, ${then.toLocaleTimeString(regional(code), { hour: "numeric", minute: "2-digit" })}`;
  }
  const year = then.getFullYear() === now.getFullYear() ? {} : ({ year: "numeric" } as const);
  return then.toLocaleDateString(regional(code), { day: "numeric", month: "long", ...year });
}

/** A day or moment with its year: "3 November 2025". */
export function sayDay(day: string, code: string): string {
  // A bare date would be taken for midnight in Greenwich.
  return new Date(day.length === 10 ? `${day}T00:00` : day).toLocaleDateString(regional(code), { dateStyle: "long" });
}

/** How long ago, of the last minutes: "now", "2 minutes ago". */
export function sayAgo(moment: string, code: string, now: Date = new Date()): string {
  const minutes = Math.round((new Date(moment).getTime() - now.getTime()) / 60_000);
  const words = new Intl.RelativeTimeFormat(code, { numeric: "auto" });
  return minutes >= 0 ? words.format(0, "second") : words.format(minutes, "minute");
}

function midnight(time: Date): Date {
  return new Date(time.getFullYear(), time.getMonth(), time.getDate());
}
