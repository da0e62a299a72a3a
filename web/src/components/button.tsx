import type { ComponentProps, ReactNode } from "react";
import { Link } from "wouter";
import { useSlow } from "@/lib/use-slow";
import { Spinner } from "./spinner";

type Look = "primary" | "secondary" | "quiet" | "danger";

const LOOKS: Record<Look, string> = {
  primary:
    "bg-accent text-on-accent hover:brightness-110 forced-colors:forced-color-adjust-none " +
    "forced-colors:border-[Highlight] forced-colors:bg-[Highlight] forced-colors:text-[HighlightText]",
  secondary: "bg-surface text-ink border-2 border-edge hover:bg-sunken",
  quiet: "text-ink hover:bg-sunken",
  danger: "bg-danger-tint text-danger border-2 border-danger hover:brightness-95",
};

const SHAPE =
  "inline-flex min-h-12 min-w-12 items-center justify-center gap-2.5 rounded-2xl px-5 py-2 text-center " +
  "font-semibold transition-[filter,background-color] disabled:cursor-not-allowed disabled:opacity-55 " +
  "aria-disabled:cursor-progress print:hidden forced-colors:border-2 [&>svg]:size-[1.35em] [&>svg]:shrink-0";

interface Looks {
  look?: Look;
  icon?: ReactNode;
}

/** A button. While `busy` it says so, and takes no second press. */
export function Button({
  look = "secondary",
  icon,
  busy = false,
  className = "",
  children,
  onClick,
  ...rest
}: Looks & { busy?: boolean } & ComponentProps<"button">) {
  const slow = useSlow(busy);
  return (
    <button
      type="button"
      {...rest}
      aria-disabled={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
      className={`${SHAPE} ${LOOKS[look]} ${className}`}
    >
      {slow ? <Spinner /> : icon}
      {children}
    </button>
  );
}

/** A link that looks like a button. */
export function ButtonLink({
  look = "secondary",
  icon,
  className = "",
  href,
  children,
}: Looks & { className?: string; href: string; children: ReactNode }) {
  return (
    <Link href={href} className={`${SHAPE} ${LOOKS[look]} ${className}`}>
      {icon}
      {children}
    </Link>
  );
}
