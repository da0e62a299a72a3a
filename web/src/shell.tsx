import { Ellipsis } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { useConnection } from "./client/connection";
import { useMay } from "./client/session";
import { Dialog } from "./components/dialog";
import { Spinner } from "./components/spinner";
import { useLanguage } from "./lib/i18n";
import { SCREENS, type Screen } from "./screens";

/** What is around every screen: the way to the others, and the word when the server is gone. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useLanguage();
  const main = useRef<HTMLElement>(null);
  const [location] = useLocation();
  const shown = useRef(location);
  useEffect(() => {
    if (shown.current === location) return;
    shown.current = location;
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [location]);
  useEffect(() => {
    // A file that is dropped beside the place for it would be opened instead of the page.
    const leave = (event: DragEvent) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "none";
    };
    const kinds = ["dragover", "drop"] as const;
    for (const kind of kinds) addEventListener(kind, leave);
    return () => {
      for (const kind of kinds) removeEventListener(kind, leave);
    };
  }, []);
  return (
    <div className="flex min-h-dvh flex-col md:flex-row-reverse print:block print:min-h-0">
      <button
        type="button"
        onClick={() => main.current?.focus()}
        className="fixed top-2 left-2 z-50 rounded-2xl bg-accent p-3 text-on-accent not-focus:sr-only"
      >
        {t("nav.skip")}
      </button>
      <div className="flex min-w-0 flex-1 flex-col">
        <ConnectionBanner />
        <main ref={main} id="main" tabIndex={-1} className="flex min-w-0 flex-1 flex-col pb-20 md:pb-0 print:pb-0">
          {children}
        </main>
      </div>
      <Navigation />
    </div>
  );
}

/** The server is not there: said at once, gone by itself. */
function ConnectionBanner() {
  const { t } = useLanguage();
  const state = useConnection();
  return (
    <div role="status" className="sticky top-0 z-30">
      {state !== "ok" && (
        <p className="flex items-center justify-center gap-3 bg-maybe-tint px-4 py-3 text-center font-semibold text-maybe">
          <Spinner />
          {t(state === "lost" ? "connection.lost" : "connection.starting")}
        </p>
      )}
    </div>
  );
}

function Navigation() {
  const { t } = useLanguage();
  const [more, setMore] = useState(false);
  const editor = useMay("editor");
  const admin = useMay("admin");
  const entries = SCREENS.filter(
    (screen): screen is Entry => screen.nav !== undefined && { viewer: true, editor, admin }[screen.role],
  );
  const [location] = useLocation();
  const rest = entries.filter((entry) => !entry.nav.first);
  return (
    <nav
      aria-label={t("nav.label")}
      className="fixed inset-x-0 bottom-0 z-20 border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] md:sticky md:top-0 md:h-dvh md:w-28 md:shrink-0 md:overflow-y-auto md:border-t-0 md:border-r md:bg-sunken"
    >
      <ul className="flex md:flex-col md:gap-1 md:p-2">
        <li className="hidden px-2 pt-3 pb-4 md:block">
          <img src="/icons/icon.svg" alt="Visage" className="mx-auto size-11" />
        </li>
        {entries.map((entry) => (
          <li key={entry.path} className={entry.nav.first ? "min-w-0 flex-1" : "hidden md:block"}>
            <NavLink entry={entry} />
          </li>
        ))}
        <li className="min-w-0 flex-1 md:hidden">
          <button
            type="button"
            onClick={() => setMore(true)}
            aria-haspopup="dialog"
            data-current={rest.some((entry) => isHere(entry, location)) || undefined}
            className={NAV_ITEM}
          >
            <span className={NAV_ICON}>
              <Ellipsis aria-hidden="true" />
            </span>
            {t("nav.more")}
          </button>
        </li>
      </ul>
      <Dialog open={more} onClose={() => setMore(false)} title={t("nav.more")}>
        <ul className="grid gap-2">
          {rest.map((entry) => (
            <li key={entry.path}>
              <Link
                href={entry.path}
                onClick={() => setMore(false)}
                className="flex min-h-16 items-center gap-4 rounded-2xl bg-surface px-5 text-lg font-semibold text-ink [&_svg]:size-7 [&_svg]:text-accent"
              >
                <span aria-hidden="true">{entry.nav.icon}</span>
                {t(entry.nav.label)}
              </Link>
            </li>
          ))}
        </ul>
      </Dialog>
    </nav>
  );
}

type Entry = Screen & { nav: NonNullable<Screen["nav"]> };

const NAV_ITEM =
  "group flex min-h-16 w-full flex-col items-center justify-center gap-0.5 rounded-2xl px-1 py-2 text-center " +
  "text-[min(0.875rem,3.7vw)] leading-tight font-semibold text-soft focus-visible:-outline-offset-3 " +
  "aria-[current=page]:text-accent data-current:text-accent md:text-sm " +
  "forced-colors:aria-[current=page]:underline forced-colors:data-current:underline";

const NAV_ICON =
  "grid h-8 w-14 place-items-center rounded-full transition-colors group-hover:bg-tint [&>svg]:size-6 " +
  "group-aria-[current=page]:bg-tint group-data-current:bg-tint " +
  "forced-colors:group-aria-[current=page]:border-2 forced-colors:group-data-current:border-2";

function NavLink({ entry }: { entry: Entry }) {
  const { t } = useLanguage();
  const [location] = useLocation();
  return (
    <Link href={entry.path} aria-current={isHere(entry, location) ? "page" : undefined} className={NAV_ITEM}>
      <span aria-hidden="true" className={NAV_ICON}>
        {entry.nav.icon}
      </span>
      {t(entry.nav.label)}
    </Link>
  );
}

function isHere(entry: Entry, location: string): boolean {
  return location === entry.path || (entry.path !== "/" && location.startsWith(`${entry.path}/`));
}
