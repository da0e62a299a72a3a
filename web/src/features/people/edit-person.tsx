import { Check } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { PersonWithPhotos } from "@/client/api";
import { changeOf, detailsOf, useUpdatePerson } from "@/client/people";
import { useHouseRules } from "@/client/server";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { draftOf, newConsent, recordOf } from "./consent";
import { ConsentFields } from "./consent-fields";
import { ConsentLine } from "./consent-line";
import { DetailsFields } from "./details-fields";

/** Change name, relationship, the line to remember, notes, and who agreed. */
export function EditPerson({
  person,
  open,
  onClose,
}: {
  person: PersonWithPhotos;
  open: boolean;
  onClose: () => void;
}) {
  const { t } = useLanguage();
  return (
    <Dialog open={open} onClose={onClose} title={t("person.edit")}>
      <Form person={person} onDone={onClose} />
    </Dialog>
  );
}

function Form({ person, onDone }: { person: PersonWithPhotos; onDone: () => void }) {
  const { t } = useLanguage();
  const [before] = useState(() => detailsOf(person));
  const [after, setAfter] = useState(before);
  const [tried, setTried] = useState(false);
  const [agreedBefore] = useState(person.consent ?? null);
  const [agreed, setAgreed] = useState(agreedBefore);
  const [draft, setDraft] = useState<ReturnType<typeof newConsent> | null>(null);
  const needed = useHouseRules(true).data?.require_consent ?? true;
  const update = useUpdatePerson();
  const person_id = person.person_id;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (after.name.trim() === "") return;
    const consent = draft === null ? agreed : recordOf(draft, after.name.trim());
    if (draft !== null && consent === null) return;
    const change = changeOf(before, after, agreedBefore, consent);
    // What the house asks for cannot be taken away again.
    const back = changeOf(after, before, consent, needed && agreedBefore === null ? consent : agreedBefore);
    if (change !== null) {
      try {
        await update.mutateAsync({ person_id, change });
      } catch {
        return; // said in the form
      }
      toast(t("person.saved"), () =>
        back === null ? Promise.resolve() : update.mutateAsync({ person_id, change: back }),
      );
    }
    onDone();
  };
  return (
    <form noValidate onSubmit={(event) => void submit(event)} className="grid gap-6">
      <DetailsFields value={after} onChange={setAfter} nameMissing={tried} withNotes />
      {draft === null ? (
        <ConsentLine
          consent={agreed}
          onChange={() => setDraft(agreed === null ? newConsent() : draftOf(agreed))}
          onRemove={needed ? null : () => setAgreed(null)}
        />
      ) : (
        <ConsentFields value={draft} onChange={setDraft} personName={after.name} tried={tried} withDate />
      )}
      {update.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(update.error, t)}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-3">
        <Button look="quiet" onClick={onDone}>
          {t("action.cancel")}
        </Button>
        <Button look="primary" type="submit" busy={update.isPending} icon={<Check aria-hidden="true" />}>
          {t("action.save")}
        </Button>
      </div>
    </form>
  );
}
