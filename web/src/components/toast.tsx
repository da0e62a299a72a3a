import { Undo2, X } from "lucide-react";
import { Toast as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { createStore, useStore } from "@/lib/store";
import { Button } from "./button";

const UNDO_MS = 30_000;
const PLAIN_MS = 6_000;
const MOST = 3;

interface Toast {
  id: number;
  message: string;
  undo?: (() => Promise<unknown>) | undefined;
  gone?: (() => void) | undefined;
  /** So many things with this message; undone together. */
  times: number;
}

const toasts = createStore<readonly Toast[]>([]);
let last = 0;

/**
 * Say that something was done. With `undo` it can be taken back for 30 seconds; `gone` is called once it was not: the
 * time is over, or someone closed it. Messages with the same words are one, and taken back together, the last first.
 */
export function toast(message: string, undo?: () => Promise<unknown>, gone?: () => void): void {
  last += 1;
  const before = toasts
    .get()
    .find((entry) => entry.message === message && entry.undo !== undefined && undo !== undefined);
  const entry: Toast = { id: last, message, undo, gone, times: 1 };
  if (before !== undefined) {
    entry.times += before.times;
    entry.undo = async () => {
      await undo?.();
      await before.undo?.();
    };
    entry.gone = () => {
      before.gone?.();
      gone?.();
    };
  }
  const all = [...toasts.get().filter((other) => other.message !== message), entry];
  toasts.set(all.slice(-MOST));
  for (const entry of all.slice(0, -MOST)) entry.gone?.();
}

/** Take all of them away, as if each had been closed. */
export function clearToasts(): void {
  const all = toasts.get();
  toasts.set([]);
  for (const entry of all) entry.gone?.();
}

function remove(id: number): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

/** Where they appear; once, around the page, and over nothing that can be pressed (`data-controls`). F8 goes there. */
export function Toasts({ children }: { children: ReactNode }) {
  const { t } = useLanguage();
  return (
    <Radix.Provider label={t("toast.label")} duration={PLAIN_MS}>
      {children}
      {useStore(toasts).map((entry) => (
        <Entry key={entry.id} entry={entry} />
      ))}
      <Radix.Viewport
        data-messages
        label={t("toast.viewport")}
        className="fixed inset-x-0 bottom-20 z-60 mx-auto flex w-full max-w-xl flex-col gap-2 p-4 md:bottom-2 [html:has([data-controls])_&]:bottom-46 md:[html:has([data-controls])_&]:bottom-68 flat:[html:has([data-controls])_&]:right-auto flat:[html:has([data-controls])_&]:bottom-1 flat:[html:has([data-controls])_&]:max-w-sm flat:md:[html:has([data-controls])_&]:left-28"
      />
    </Radix.Provider>
  );
}

function Entry({ entry }: { entry: Toast }) {
  const { t } = useLanguage();
  const [busy, setBusy] = useState(false);
  const takeBack = async () => {
    setBusy(true);
    try {
      await entry.undo?.();
      remove(entry.id);
    } catch (error) {
      remove(entry.id);
      toast(explain(error, t));
    }
  };
  return (
    <Radix.Root
      duration={entry.undo ? UNDO_MS : PLAIN_MS}
      onOpenChange={(open) => {
        if (open || busy) return;
        remove(entry.id);
        entry.gone?.();
      }}
      className="flex animate-rise flex-wrap items-center gap-2 rounded-card bg-ink py-2 pr-2 pl-5 text-ground shadow-xl forced-colors:border-2"
    >
      <Radix.Title className="min-w-32 flex-1 py-2 font-medium">
        {entry.message}
        {entry.times > 1 && ` (${entry.times})`}
      </Radix.Title>
      <span className="ml-auto flex items-center gap-1">
        {entry.undo && (
          <Radix.Action altText={t("action.undo")} asChild onClick={(event) => event.preventDefault()}>
            <Button look="secondary" icon={<Undo2 aria-hidden="true" />} busy={busy} onClick={() => void takeBack()}>
              {t(entry.times > 1 ? "action.undo.all" : "action.undo")}
            </Button>
          </Radix.Action>
        )}
        <Radix.Close
          aria-label={t("action.close")}
          className="grid size-12 place-items-center rounded-2xl focus-visible:outline-ground"
        >
          <X aria-hidden="true" />
        </Radix.Close>
      </span>
    </Radix.Root>
  );
}
