import { Check, Users } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { Person } from "@/client/api";
import { isAsWas } from "@/client/people";
import { type Answer, type UnknownFace, useNameUnknown } from "@/client/unknowns";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { FacePicture } from "@/components/face-picture";
import { TextField } from "@/components/field";
import { toast } from "@/components/toast";
import { LooksLike, resembled } from "@/features/add/looks-like";
import { ConsentFields } from "@/features/people/consent-fields";
import { PickPerson } from "@/features/people/pick-person";
import { useConsent } from "@/features/people/use-consent";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

/** Whose face is it? Someone new, or someone who is here already. */
export function NameUnknown({ face, onClose }: { face: UnknownFace | null; onClose: () => void }) {
  const { t } = useLanguage();
  return (
    <Dialog open={face !== null} onClose={onClose} title={t("unknown.who")}>
      {face !== null && <Questions face={face} onDone={onClose} />}
    </Dialog>
  );
}

type Named = { person_id: string; name: string };

function Questions({ face, onDone }: { face: UnknownFace; onDone: () => void }) {
  const { t } = useLanguage();
  const [name, setName] = useState("");
  const [relationship, setRelationship] = useState("");
  const [tried, setTried] = useState(false);
  const [picking, setPicking] = useState(false);
  const [chosen, setChosen] = useState<Person | null>(null);
  const consent = useConsent(chosen?.name ?? name);
  const [likeness, setLikeness] = useState<{ added: Named; other: Named } | null>(null);
  const naming = useNameUnknown();

  const answer = async (answer: Answer) => {
    try {
      const named = await naming.mutateAsync({ unknown_id: face.unknown_id, answer });
      const other = "person" in answer ? null : resembled(named.warnings);
      if (other !== null) return setLikeness({ added: named, other });
      toast(t("unknown.named", { name: named.name }));
      if (isAsWas(named)) toast(t("added.as_was", { name: named.name }));
      onDone();
    } catch (error) {
      consent.refused(error);
      if ("person" in answer) setChosen(answer.person);
      setPicking(false); // said in the form
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (consent.missing) return;
    if (chosen !== null) void answer({ person: chosen, consent: consent.record });
    else if (name.trim() !== "") void answer({ name, relationship, consent: consent.record });
  };
  // Whoever has agreed already is not asked once more.
  const pick = (person: Person) => {
    if (!consent.needed || person.consent != null) return void answer({ person, consent: person.consent ?? null });
    setChosen(person);
    setPicking(false);
  };

  if (likeness !== null)
    return (
      <LooksLike
        {...likeness}
        onAnswer={(left) => {
          if (left.person_id === likeness.added.person_id) toast(t("unknown.named", { name: left.name }));
          onDone();
        }}
      />
    );
  return (
    <div className="grid gap-5">
      {!picking && <FacePicture src={face.url} name={t("unknown.alt.one")} className="mx-auto size-40" />}
      {naming.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(naming.error, t)}
        </p>
      )}
      {picking ? (
        <>
          <PickPerson onPick={pick} />
          <Button
            look="quiet"
            busy={naming.isPending}
            onClick={() => {
              setChosen(null);
              setPicking(false);
            }}
          >
            {t("unknown.new")}
          </Button>
        </>
      ) : (
        <form noValidate onSubmit={submit} className="grid gap-5">
          {chosen !== null ? (
            <p className="text-center text-xl font-bold">{chosen.name}</p>
          ) : (
            <>
              <TextField
                label={t("details.name")}
                required
                autoFocus
                autoComplete="off"
                autoCapitalize="words"
                maxLength={200}
                value={name}
                onChange={(event) => setName(event.target.value)}
                error={tried && name.trim() === "" && t("details.name.missing")}
              />
              <TextField
                label={t("details.relationship")}
                hint={t("details.relationship.hint")}
                autoComplete="off"
                maxLength={200}
                value={relationship}
                onChange={(event) => setRelationship(event.target.value)}
              />
            </>
          )}
          {consent.needed && (
            <ConsentFields
              value={consent.draft}
              onChange={consent.setDraft}
              personName={chosen?.name ?? name}
              tried={tried}
            />
          )}
          <Button look="primary" type="submit" busy={naming.isPending} icon={<Check aria-hidden="true" />}>
            {t("action.save")}
          </Button>
          <Button look="quiet" icon={<Users aria-hidden="true" />} onClick={() => setPicking(true)}>
            {t("unknown.existing")}
          </Button>
        </form>
      )}
    </div>
  );
}
