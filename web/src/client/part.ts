import { connection } from "./connection";

/** A part of the page (a screen, a language) that the server does not have, though it answers. */
export class PartMissing extends Error {
  constructor(name: string, cause: unknown) {
    super(`The page lacks its part ${name}`, { cause });
    this.name = "PartMissing";
  }
}

/** Names of parts for which the page was loaded again, in the memory of the tab. */
const RELOADED = "visage.reloaded";

/** Between two attempts while the server is away, at least. */
const PAUSE_MS = 500;

const GONE = new Promise<never>(() => {}); // the page is on its way out

/**
 * Fetch a part of the page that comes when it is needed; `lazy` and bare imports fail for good where this mends itself.
 *
 * While the server is away it waits. A part that is missing belongs to a page from before an update: then the page is
 * loaded again, once for each part until that was there.
 *
 * @throws PartMissing it was loaded again, and the part is missing still.
 */
export async function load<T>(name: string, fetchPart: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const part = await fetchPart();
      mark(name, false);
      return part;
    } catch (cause) {
      const current = await isCurrent();
      if (current === null) {
        await Promise.all([connection.answers(), new Promise((resolve) => setTimeout(resolve, PAUSE_MS))]);
        attempt = 0;
      } else if (!current || attempt > 1) {
        // The second attempt too: some browsers remember for ever that an import failed.
        if (reloadOnce(name)) return GONE;
        throw new PartMissing(name, cause);
      }
    }
  }
}

/** Load the page again, unless that was done for this already; says whether it is. */
export function reloadOnce(name: string): boolean {
  if (marked().includes(name) || !mark(name, true)) return false;
  location.reload();
  return true;
}

/** Is this page the one that the server has now? null: it does not answer. */
export async function isCurrent(): Promise<boolean | null> {
  if (!import.meta.env.PROD) return true;
  try {
    // Its list of files; the service worker keeps everything but itself.
    const reply = await fetch("/sw.js", { cache: "no-store", signal: AbortSignal.timeout(4_000) });
    if (reply.status >= 500) return null;
    const own = document.querySelector<HTMLScriptElement>("script[type=module][src]");
    return !reply.ok || own === null || (await reply.text()).includes(new URL(own.src).pathname);
  } catch {
    return null;
  }
}

function marked(): readonly string[] {
  try {
    const names: unknown = JSON.parse(sessionStorage.getItem(RELOADED) ?? "[]");
    return Array.isArray(names) ? names : [];
  } catch {
    return [];
  }
}

/** False where the tab keeps nothing: then nothing is done that must not be done twice. */
function mark(name: string, on: boolean): boolean {
  const others = marked().filter((each) => each !== name);
  if (!on && others.length === marked().length) return true;
  try {
    sessionStorage.setItem(RELOADED, JSON.stringify(on ? [...others, name] : others));
    return true;
  } catch {
    return false;
  }
}
