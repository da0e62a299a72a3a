import { Merge, Split } from "lucide-react";
import { Button } from "@/components/button";
import { Portrait } from "@/features/people/portrait";
import { useBringTogether } from "@/features/people/use-bring-together";
import { useLanguage } from "@/lib/i18n";

interface Named {
  person_id: string;
  name: string;
}

interface Warned {
  code: string;
  details: Record<string, unknown>;
}

/** Whom the new face resembles, by the server's warnings. */
export function resembled(warnings: readonly Warned[]): Named | null {
  const details = warnings.find((warning) => warning.code === "LOOKS_LIKE")?.details;
  if (typeof details?.person_id !== "string" || typeof details.name !== "string") return null;
  return { person_id: details.person_id, name: details.name };
}

/** The new face resembles someone who is here already: is it the same person? Both pictures, side by side. */
export function LooksLike({
  added,
  other,
  onAnswer,
}: {
  added: Named;
  other: Named;
  /** The person who is left to look at. */
  onAnswer: (left: Named) => void;
}) {
  const { t } = useLanguage();
  const { bring, busy } = useBringTogether();
  const same = async () => {
    if (await bring(other, added)) onAnswer(other);
  };
  return (
    <div className="grid gap-6">
      <p className="text-lg">{t("likeness.text", { name: added.name, other: other.name })}</p>
      <ul className="grid grid-cols-2 gap-3 sm:gap-5">
        {[added, other].map((person, index) => (
          <li key={person.person_id} className="grid gap-2 text-center">
            <Portrait personId={person.person_id} className="aspect-square w-full" />
            <span className="text-lg leading-snug font-bold">{person.name}</span>
            <span className="-mt-2 text-soft">{t(index === 0 ? "likeness.new" : "likeness.before")}</span>
          </li>
        ))}
      </ul>
      <div className="grid gap-3 sm:grid-cols-2">
        <Button icon={<Merge aria-hidden="true" />} busy={busy} onClick={() => void same()}>
          {t("likeness.same")}
        </Button>
        <Button icon={<Split aria-hidden="true" />} onClick={() => onAnswer(added)}>
          {t("likeness.different")}
        </Button>
      </div>
      <p className="text-soft">{t("likeness.hint", { name: other.name })}</p>
    </div>
  );
}
