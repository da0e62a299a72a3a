import { Undo2 } from "lucide-react";
import type { PersonWithPhotos } from "@/client/api";
import { useUndo } from "@/client/people";
import { useMay } from "@/client/session";
import { Button } from "@/components/button";
import { Card } from "@/components/page";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { sayWhen } from "@/lib/when";

/** What was corrected about a person in the last thirty days, each with a way back. */
export function Corrections({ person }: { person: PersonWithPhotos }) {
  const { t, code } = useLanguage();
  const may = useMay("editor");
  const undo = useUndo();
  if (person.undos.length === 0) return null;
  const takeBack = (undo_id: string) =>
    undo.mutate(undo_id, {
      onSuccess: () => toast(t("corrections.undone")),
      onError: (error) => toast(explain(error, t)),
    });
  return (
    <Card title={t("corrections.title")}>
      <ul className="grid">
        {person.undos.map((entry) => (
          <li
            key={entry.undo_id}
            className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-line py-3 last:border-b-0"
          >
            <p className="min-w-[min(14rem,100%)] flex-1">
              {t(`corrections.${entry.what}`, { name: person.name })}
              <span className="block text-soft">{sayWhen(entry.created_at, code)}</span>
            </p>
            {(may || entry.what === "not-me") && (
              <Button
                icon={<Undo2 aria-hidden="true" />}
                busy={undo.isPending && undo.variables === entry.undo_id}
                onClick={() => takeBack(entry.undo_id)}
              >
                {t("action.undo")}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}
