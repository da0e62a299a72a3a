import { type ReactNode, useEffect } from "react";

/** A screen with a title, and what can be done here beside it. Every screen but Live is one. */
export function Page({
  title,
  actions,
  wide = false,
  children,
}: {
  title: string;
  actions?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}) {
  useTitle(title);
  return (
    <div className={`mx-auto w-full px-4 py-6 sm:px-8 sm:py-10 ${wide ? "max-w-6xl" : "max-w-3xl"}`}>
      <header className="mb-6 flex flex-wrap items-center justify-between gap-x-6 gap-y-3 sm:mb-8">
        <h1 className="text-3xl sm:text-4xl">{title}</h1>
        {actions && <div className="flex flex-wrap gap-3">{actions}</div>}
      </header>
      {children}
    </div>
  );
}

/** A group of things on a screen. */
export function Card({ title, children }: { title?: string; children: ReactNode }) {
  return (
    <section className="rounded-card border border-line bg-surface p-5 sm:p-7">
      {title !== undefined && <h2 className="mb-4 text-xl">{title}</h2>}
      {children}
    </section>
  );
}

/** Name the window. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Visage`;
  }, [title]);
}
