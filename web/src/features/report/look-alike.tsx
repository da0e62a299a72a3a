import { ImagePlus, Merge, Split } from "lucide-react";
import { Link } from "wouter";
import type { BankReport } from "@/client/report";
import { Button } from "@/components/button";
import { toast } from "@/components/toast";
import { useLanguage } from "@/lib/i18n";
import { Portrait } from "../people/portrait";
import { useBringTogether } from "../people/use-bring-together";
import { pairOf, settle, unsettle } from "./settled";

/** Two whom the camera may take for one another, side by side. */
export function LookAlike({ pair }: { pair: BankReport["look_alikes"][number] }) {
  const { t } = useLanguage();
  const [first, second] = pair.persons;
  const { bring, busy } = useBringTogether();
  const key = pairOf(first.person_id, second.person_id);
  const keepApart = () => {
    settle(key);
    toast(t("report.pairs.apart.done", { name: first.name, other: second.name }), async () => unsettle(key));
  };
  return (
    <li className="grid content-between gap-4 rounded-card border border-line bg-surface p-4 sm:p-5">
      <div className="grid grid-cols-2 gap-3 sm:gap-4">
        {pair.persons.map((person) => (
          <div key={person.person_id} className="grid content-start gap-2 text-center">
            <Portrait personId={person.person_id} className="aspect-square w-full" />
            <Link
              href={`/people/${person.person_id}`}
              className="inline-flex min-h-11 flex-col items-center justify-center rounded-xl text-lg leading-snug font-bold hover:underline"
            >
              {person.name}
              {person.relationship !== null && (
                <span className="text-base font-normal text-soft">{person.relationship}</span>
              )}
            </Link>
          </div>
        ))}
      </div>
      {pair.same_name && <p className="text-center text-lg">{t("report.pairs.same_name", { name: first.name })}</p>}
      <div className="grid gap-2.5 sm:grid-cols-2">
        <Button icon={<Merge aria-hidden="true" />} busy={busy} onClick={() => void bring(first, second)}>
          {t("likeness.same")}
        </Button>
        <Button icon={<Split aria-hidden="true" />} onClick={keepApart}>
          {t("likeness.different")}
        </Button>
        {pair.persons.map((person) => (
          <Link
            key={person.person_id}
            href={`/add?to=${person.person_id}`}
            className="inline-flex min-h-12 items-center justify-center gap-2 rounded-2xl px-2 py-1.5 text-center leading-tight font-semibold text-accent hover:bg-sunken"
          >
            <ImagePlus aria-hidden="true" className="size-5 shrink-0" />
            {t("report.photos.of", { name: person.name })}
          </Link>
        ))}
      </div>
    </li>
  );
}
