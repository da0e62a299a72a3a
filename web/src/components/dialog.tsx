import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { useLanguage } from "@/lib/i18n";
import { returnFocus } from "@/lib/keep-focus";

/**
 * Something that must be answered before going on: Escape, the cross and a press beside it close it.
 *
 * Radix' own overlay is left out, since it writes a style element, which the policy of the page forbids.
 */
export function Dialog({
  open,
  onClose,
  title,
  description,
  children,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: string;
  children: ReactNode;
}) {
  const { t } = useLanguage();
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <div className="fixed inset-0 z-40 bg-black/55" />
        <div className="fixed inset-0 z-50 grid overflow-y-auto p-4 pb-[max(1rem,env(safe-area-inset-bottom))]">
          <Radix.Content
            {...(description === undefined ? { "aria-describedby": undefined } : {})}
            onCloseAutoFocus={(event) => {
              event.preventDefault(); // Radix knows only its own triggers
              returnFocus();
            }}
            className="m-auto w-full max-w-lg animate-rise rounded-card bg-ground p-5 shadow-2xl sm:p-7 max-sm:mb-0"
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
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}
