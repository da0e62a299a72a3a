import { Check } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { PersonWithPhotos } from "@/client/api";
import { changeOf, type Details, detailsOf, useUpdatePerson } from "@/client/people";
import { useHouseRules } from "@/client/server";
import { Button } from "@/components/button";
import { Dialog, DialogClose } from "@/components/dialog";
import { toast } from "@/components/toast";
import { useDraft } from "@/lib/drafts";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { type Consent, type ConsentDraft, draftOf, newConsent, recordOf } from "./consent";
import { ConsentFields } from "./consent-fields";
import { ConsentLine } from "./consent-line";
import { DetailsFields } from "./details-fields";

/** A person as it is being changed: as it was when that began, and as it is written now. */
interface Edit {
  before: Details;
  after: Details;
  agreedBefore: Consent | null;
  agreed: Consent | null;
  /** The consent, while it is filled in. */
  filling: ConsentDraft | null;
}

/** What is written about a person and not saved yet. */
export function useEdit(personId: string) {
  return useDraft<Edit>(`edit ${personId}`);
}

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
  const [edit, setEdit] = useEdit(person.person_id);
  const done = () => {
    setEdit(null);
    onClose();
  };
  return (
    <Dialog open={open} onClose={done} title={t("person.edit")} unsaved={edit !== null}>
      <Form person={person} onDone={done} />
    </Dialog>
  );
}

function Form({ person, onDone }: { person: PersonWithPhotos; onDone: () => void }) {
  const { t } = useLanguage();
  const [begun] = useState(() => beginning(person));
  const [draft, setDraft] = useEdit(person.person_id);
  const edit = draft ?? begun;
  const { before, after, agreedBefore, agreed, filling } = edit;
  const write = (change: Partial<Edit>) => {
    const next = { ...edit, ...change };
    const original: Edit = { ...next, after: before, agreed: agreedBefore, filling: null };
    setDraft(JSON.stringify(next) === JSON.stringify(original) ? null : next);
  };
  const [tried, setTried] = useState(false);
  const needed = useHouseRules(true).data?.require_consent ?? true;
  const update = useUpdatePerson();
  const person_id = person.person_id;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (after.name.trim() === "") return;
    const consent = filling === null ? agreed : recordOf(filling, after.name.trim());
    if (filling !== null && consent === null) return;
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
      <DetailsFields value={after} onChange={(after) => write({ after })} nameMissing={tried} withNotes />
      {filling === null ? (
        <ConsentLine
          consent={agreed}
          onChange={() => write({ filling: agreed === null ? newConsent() : draftOf(agreed) })}
          onRemove={needed ? null : () => write({ agreed: null })}
        />
      ) : (
        <ConsentFields
          value={filling}
          onChange={(filling) => write({ filling })}
          personName={after.name}
          tried={tried}
          withDate
        />
      )}
      {update.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(update.error, t)}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-3">
        <DialogClose>{t("action.cancel")}</DialogClose>
        <Button look="primary" type="submit" busy={update.isPending} icon={<Check aria-hidden="true" />}>
          {t("action.save")}
        </Button>
      </div>
    </form>
  );
}

function beginning(person: PersonWithPhotos): Edit {
  const details = detailsOf(person);
  const agreed = person.consent ?? null;
  return { before: details, after: details, agreedBefore: agreed, agreed, filling: null };
}
