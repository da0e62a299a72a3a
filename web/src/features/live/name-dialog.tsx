import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { nameFace } from "@/client/live";
import { isAsWas } from "@/client/people";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { TextField } from "@/components/field";
import { toast } from "@/components/toast";
import { ConsentFields } from "@/features/people/consent-fields";
import { useConsent } from "@/features/people/use-consent";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

/** A face that is to get a name. */
export interface Unnamed {
  unknownId: string | null;
  picture: Blob | null;
}

/** "Who is this?": the picture stands still; name, relationship, done. */
export function NameDialog({ face, onClose }: { face: Unnamed | null; onClose: () => void }) {
  const { t } = useLanguage();
  return (
    <Dialog open={face !== null} onClose={onClose} title={t("live.name.title")} description={t("live.name.why")}>
      {face !== null && <Form face={face} onClose={onClose} />}
    </Dialog>
  );
}

function Form({ face, onClose }: { face: Unnamed; onClose: () => void }) {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [relationship, setRelationship] = useState("");
  const [tried, setTried] = useState(false);
  const consent = useConsent(name);
  const picture = usePicture(face.picture);
  const remember = useMutation({
    mutationFn: () =>
      nameFace(face, { name: name.trim(), relationship: relationship.trim(), consent: consent.record }),
    onError: consent.refused,
    onSuccess: (named) => {
      for (const key of ["persons", "unknowns", "report"]) void queries.invalidateQueries({ queryKey: [key] });
      toast(t("live.name.done", { name: name.trim() }));
      if (isAsWas(named)) toast(t("added.as_was", { name: named.name }));
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (name.trim() !== "" && !consent.missing && !remember.isPending) remember.mutate();
  };
  return (
    <form onSubmit={submit} noValidate className="grid gap-5">
      {picture !== null && (
        <img
          src={picture}
          alt={t("live.name.picture")}
          className="mx-auto size-40 rounded-card object-cover sm:size-48"
        />
      )}
      <TextField
        label={t("live.name.name")}
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={tried && name.trim() === "" && t("live.name.required")}
        maxLength={200}
        autoComplete="off"
        autoFocus
      />
      <TextField
        label={t("live.name.relationship")}
        hint={t("live.name.relationship.hint")}
        value={relationship}
        onChange={(event) => setRelationship(event.target.value)}
        maxLength={200}
        autoComplete="off"
      />
      {consent.needed && (
        <ConsentFields value={consent.draft} onChange={consent.setDraft} personName={name} tried={tried} />
      )}
      {remember.isError && (
        <p role="alert" className="font-medium text-danger">
          {explain(remember.error, t)}
        </p>
      )}
      <Button look="primary" type="submit" busy={remember.isPending} className="min-h-14 text-lg">
        {t("live.name.action")}
      </Button>
    </form>
  );
}

function usePicture(blob: Blob | null): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    if (blob === null) return;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}
