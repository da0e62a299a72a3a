import { useQueryClient } from "@tanstack/react-query";
import { Check, UserPlus, Users } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { Person } from "@/client/api";
import { peopleQuery, personQuery } from "@/client/people";
import { type Answer, type NamedFace, type Unnamed, useNameFace } from "@/client/unknowns";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { FacePicture } from "@/components/face-picture";
import { TextField } from "@/components/field";
import { LooksLike, resembled } from "@/features/add/looks-like";
import { ConsentFields } from "@/features/people/consent-fields";
import { PickPerson } from "@/features/people/pick-person";
import { useConsent } from "@/features/people/use-consent";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { AlreadyHere, Choices, isCalled, type Someone } from "./already-here";

/** What is asked about: a face, the address of its picture, and whom it resembles, where that is known already. */
export interface Question extends Unnamed {
  src: string | null;
  likely: readonly Someone[] | null;
}

/** "Who is this?": someone who is here already, or someone new. */
export function NameFace({
  question,
  onClose,
  onNamed,
}: {
  question: Question | null;
  onClose: () => void;
  onNamed: (named: NamedFace) => void;
}) {
  const { t } = useLanguage();
  return (
    <Dialog open={question !== null} onClose={onClose} title={t("live.name.title")}>
      {question !== null && <Form question={question} onClose={onClose} onNamed={onNamed} />}
    </Dialog>
  );
}

type Step =
  | "ask"
  | "pick"
  | { namesakes: Person[] }
  | { named: NamedFace; other: { person_id: string; name: string } };

function Form({
  question,
  onClose,
  onNamed,
}: {
  question: Question;
  onClose: () => void;
  onNamed: (named: NamedFace) => void;
}) {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [relationship, setRelationship] = useState("");
  const [tried, setTried] = useState(false);
  const [step, setStep] = useState<Step>("ask");
  const [chosen, setChosen] = useState<Person | null>(null);
  const [looking, setLooking] = useState(false);
  const consent = useConsent(chosen?.name ?? name);
  const naming = useNameFace();

  const answer = async (answer: Answer) => {
    try {
      const named = await naming.mutateAsync({ face: question, answer });
      const other = "person" in answer ? null : resembled(named.warnings);
      if (other !== null) return setStep({ named, other });
      onNamed(named);
      onClose();
    } catch (error) {
      consent.refused(error);
      if ("person" in answer) setChosen(answer.person);
      setStep("ask"); // said in the form
    }
  };
  // Whoever has agreed already is not asked once more.
  const pick = (person: Person) => {
    if (!consent.needed || person.consent != null) return void answer({ person, consent: person.consent ?? null });
    setChosen(person);
    setStep("ask");
  };
  const pickById = async (personId: string) => pick(await queries.fetchQuery(personQuery(personId)));
  const addNew = () => answer({ name, relationship, consent: consent.record });

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (consent.missing || naming.isPending || looking) return;
    if (chosen !== null) return answer({ person: chosen, consent: consent.record });
    if (name.trim() === "") return;
    setLooking(true);
    // A second one of a name is a choice, never made in silence.
    const found = await queries.fetchInfiniteQuery(peopleQuery(name.trim(), "name")).catch(() => null);
    setLooking(false);
    const namesakes = found?.pages.flatMap((page) => page.persons).filter((person) => isCalled(person, name)) ?? [];
    if (namesakes.length > 0) setStep({ namesakes });
    else await addNew();
  };

  if (typeof step === "object" && "named" in step)
    return (
      <LooksLike
        added={step.named}
        other={step.other}
        onAnswer={(left) => {
          if (left.person_id === step.named.person_id) onNamed(step.named);
          onClose();
        }}
      />
    );
  if (step === "pick")
    return (
      <div className="grid gap-5">
        <PickPerson onPick={pick} />
        <Button
          look="quiet"
          busy={naming.isPending}
          onClick={() => {
            setChosen(null);
            setStep("ask");
          }}
        >
          {t("unknown.new")}
        </Button>
      </div>
    );
  const picture = (
    <FacePicture src={question.src} name={t("unknown.alt.one")} className="mx-auto size-32 sm:size-40" />
  );
  if (typeof step === "object")
    return (
      <div className="grid gap-5">
        {picture}
        <p role="status" className="text-lg">
          {t("unknown.same", { name: name.trim() })}
        </p>
        <Choices people={step.namesakes} say={(one) => t("live.yes", { name: one })} onPick={pick} />
        <Button icon={<UserPlus aria-hidden="true" />} busy={naming.isPending} onClick={() => void addNew()}>
          {t("unknown.another", { name: name.trim() })}
        </Button>
        <Button look="quiet" onClick={() => setStep("ask")}>
          {t("unknown.same.back")}
        </Button>
      </div>
    );
  return (
    <form noValidate onSubmit={(event) => void submit(event)} className="grid gap-5">
      {picture}
      {naming.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(naming.error, t)}
        </p>
      )}
      {chosen !== null ? (
        <p className="text-center text-xl font-bold">{chosen.name}</p>
      ) : (
        <>
          <div className="grid gap-3">
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
            <AlreadyHere
              words={name.trim()}
              likely={question.likely}
              src={question.src}
              onPick={(one) => void pickById(one.person_id)}
            />
          </div>
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
      <Button
        look="primary"
        type="submit"
        busy={naming.isPending || looking}
        icon={<Check aria-hidden="true" />}
        className="min-h-14 text-lg"
      >
        {t(chosen !== null ? "action.save" : "live.name.action")}
      </Button>
      <Button look="quiet" icon={<Users aria-hidden="true" />} onClick={() => setStep("pick")}>
        {t("unknown.existing")}
      </Button>
    </form>
  );
}
