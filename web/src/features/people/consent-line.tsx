import { Pencil, Trash2 } from "lucide-react";
import { Button } from "@/components/button";
import { useLanguage } from "@/lib/i18n";
import { sayDay } from "@/lib/when";
import { type Consent, hasEnded, whoOf } from "./consent";

/** One line of who has agreed to a person being remembered, and the way to note it. */
export function ConsentLine({
  consent,
  onChange,
  onRemove,
}: {
  consent: Consent | null;
  onChange: () => void;
  /** Null where the house asks for consent. */
  onRemove: (() => void) | null;
}) {
  const { t, code } = useLanguage();
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
      <div className="min-w-40 flex-1">
        <p className="font-semibold">{t("consent.title")}</p>
        <p className="text-soft">{consent === null ? t("consent.none") : sayConsent(consent, t, code)}</p>
      </div>
      <div className="-ml-5 flex flex-wrap">
        <Button look="quiet" icon={<Pencil aria-hidden="true" />} onClick={onChange}>
          {t(consent === null ? "consent.note" : "consent.change")}
        </Button>
        {consent !== null && onRemove !== null && (
          <Button look="quiet" icon={<Trash2 aria-hidden="true" />} onClick={onRemove}>
            {t("consent.remove")}
          </Button>
        )}
      </div>
    </div>
  );
}

function sayConsent(consent: Consent, t: ReturnType<typeof useLanguage>["t"], code: string): string {
  const who = whoOf(consent.capacity);
  const given = t(`consent.given.${who}`, {
    name: consent.given_by,
    as: consent.capacity,
    day: sayDay(consent.given_on, code),
  });
  if (consent.valid_until === null) return given;
  const end = t(hasEnded(consent) ? "consent.ended" : "consent.ends", { day: sayDay(consent.valid_until, code) });
  return `${given} ${end}`;
}
