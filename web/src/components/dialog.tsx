import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, useRef, useState } from "react";
import { useLanguage } from "@/lib/i18n";
import { returnFocus } from "@/lib/keep-focus";
import { Button } from "./button";

/**
 * Something that must be answered before going on: Escape, the cross, a `DialogClose` and a press beside it close it;
 * where something is `unsaved`, only after it was asked about.
 *
 * Radix' own overlay is left out, since it writes a style element, which the policy of the page forbids.
 */
export function Dialog({
  open,
  onClose,
  title,
  description,
  unsaved = false,
  children,
}: {
  open: boolean;
  /** It is closed; what was unsaved is not wanted any more. */
  onClose: () => void;
  title: string;
  description?: string;
  unsaved?: boolean;
  children: ReactNode;
}) {
  const { t } = useLanguage();
  const [asking, setAsking] = useState(false);
  const writing = useRef<HTMLElement | null>(null);
  const leave = () => {
    if (asking) return;
    if (!unsaved) return onClose();
    setAsking(true);
  };
  const goOn = () => {
    writing.current?.focus();
    setAsking(false);
  };
  const discard = () => {
    setAsking(false);
    onClose();
  };
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && leave()}>
      <Radix.Portal>
        <div className="fixed inset-0 z-40 bg-black/55" />
        <div className="fixed inset-0 z-50 grid overflow-y-auto p-4 pb-[max(1rem,env(safe-area-inset-bottom))]">
          <Radix.Content
            {...(description === undefined ? { "aria-describedby": undefined } : {})}
            onFocus={({ target }) => {
              if (target.matches("input, textarea")) writing.current = target;
            }}
            onCloseAutoFocus={(event) => {
              event.preventDefault(); // Radix knows only its own triggers
              returnFocus();
            }}
            className="m-auto w-full max-w-lg animate-rise rounded-card bg-ground p-5 shadow-2xl forced-colors:border-2 sm:p-7 max-sm:mb-0"
          >
            <div className="mb-4 flex items-start justify-between gap-4">
              <Radix.Title className="pt-2 text-2xl">{title}</Radix.Title>
              <Radix.Close
                aria-label={t("action.close")}
                className="grid size-12 shrink-0 place-items-center rounded-2xl hover:bg-sunken"
              >
                <X aria-hidden="true" />
              </Radix.Close>
            </div>
            {description !== undefined && (
              <Radix.Description className="mb-5 text-soft">{description}</Radix.Description>
            )}
            {children}
            {asking && (
              <div
                role="alert"
                className="sticky -bottom-5 -mx-5 mt-5 -mb-5 grid animate-rise gap-4 rounded-b-card bg-maybe-tint p-5 sm:-bottom-7 sm:-mx-7 sm:-mb-7 sm:px-7"
              >
                <p className="text-lg font-semibold text-maybe">{t("draft.ask")}</p>
                <div className="flex flex-wrap justify-end gap-3">
                  <Button onClick={discard}>{t("draft.discard")}</Button>
                  <Button look="primary" autoFocus onClick={goOn}>
                    {t("draft.keep")}
                  </Button>
                </div>
              </div>
            )}
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** A button that closes the dialog, as its cross does. */
export function DialogClose({ children }: { children: ReactNode }) {
  return (
    <Radix.Close asChild>
      <Button look="quiet">{children}</Button>
    </Radix.Close>
  );
}
