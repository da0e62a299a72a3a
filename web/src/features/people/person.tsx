import { ArrowLeft, Download, Merge, NotebookPen, Pencil, UserX } from "lucide-react";
import { type ReactNode, useState } from "react";
import { Link, useParams } from "wouter";
import { ApiError, type PersonWithPhotos } from "@/client/api";
import { download } from "@/client/download";
import { detailsOf, portraitOf, usePerson } from "@/client/people";
import { useLastSeen } from "@/client/report";
import { useHas } from "@/client/server";
import { useMay } from "@/client/session";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { FacePicture } from "@/components/face-picture";
import { Card, Page, useTitle } from "@/components/page";
import { Await, Empty } from "@/components/states";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { sayWhen } from "@/lib/when";
import { Corrections } from "./corrections";
import { EditPerson, useEdit } from "./edit-person";
import { ForgetPerson } from "./forget-person";
import { Photos } from "./photos";
import { PickPerson } from "./pick-person";
import { useBringTogether } from "./use-bring-together";

/** One person: who it is, the photos, and all that can be done about them. */
export default function PersonScreen() {
  const { t } = useLanguage();
  const { personId } = useParams<{ personId: string }>();
  const person = usePerson(personId);
  const gone = person.error instanceof ApiError && person.error.status === 404;
  if (gone)
    return (
      <Page title={t("nav.people")}>
        <Empty icon={<UserX />} title={t("person.gone.title")} action={<BackLink />}>
          {t("person.gone.text")}
        </Empty>
      </Page>
    );
  return (
    <div className="mx-auto w-full max-w-4xl px-4 py-6 sm:px-8 sm:py-8">
      <BackLink />
      <Await query={person}>{(data) => <Everything person={data} />}</Await>
    </div>
  );
}

function BackLink() {
  const { t } = useLanguage();
  return (
    <Link
      href="/people"
      data-screen-only
      className="mb-3 -ml-2 inline-flex min-h-12 items-center gap-2 rounded-2xl px-3 font-semibold text-accent hover:bg-sunken"
    >
      <ArrowLeft aria-hidden="true" />
      {t("person.back")}
    </Link>
  );
}

type Doing = "editing" | "merging" | "forgetting" | null;

function Everything({ person }: { person: PersonWithPhotos }) {
  const { t } = useLanguage();
  const may = useMay("editor");
  const [doing, setDoing] = useState<Doing>(null);
  const done = () => setDoing(null);
  const { notes } = detailsOf(person);
  useTitle(person.name);
  return (
    <div className="grid gap-6">
      <Who person={person} onEdit={() => setDoing("editing")} />
      <Photos person={person} />
      {notes !== "" && (
        <Card title={t("details.notes")}>
          <p className="text-lg whitespace-pre-line">{notes}</p>
        </Card>
      )}
      <Corrections person={person} />
      {may && <Further person={person} onMerge={() => setDoing("merging")} onForget={() => setDoing("forgetting")} />}
      <EditPerson person={person} open={doing === "editing"} onClose={done} />
      <MergePerson person={person} open={doing === "merging"} onClose={done} />
      <ForgetPerson person={person} open={doing === "forgetting"} onClose={done} />
    </div>
  );
}

function Who({ person, onEdit }: { person: PersonWithPhotos; onEdit: () => void }) {
  const { t, code } = useLanguage();
  const may = useMay("editor");
  const seen = useLastSeen().get(person.person_id) ?? person.last_seen_at;
  const { remember } = detailsOf(person);
  const unsaved = useEdit(person.person_id)[0] !== null;
  return (
    <header className="flex flex-wrap items-center gap-x-8 gap-y-5">
      <FacePicture src={portraitOf(person)} name="" className="size-40 sm:size-52" />
      <div className="min-w-[min(16rem,100%)] flex-1">
        <h1 className="text-4xl sm:text-5xl">{person.name}</h1>
        {person.relationship !== null && <p className="mt-1.5 text-xl text-soft">{person.relationship}</p>}
        {remember !== "" && <p className="mt-3 text-2xl leading-snug text-balance text-accent">{remember}</p>}
        {seen != null && <p className="mt-3 text-soft">{t("people.seen", { when: sayWhen(seen, code) })}</p>}
        {may && unsaved && <p className="mt-4 font-semibold text-maybe">{t("person.edit.unsaved")}</p>}
        {may && (
          <div className="mt-5 flex flex-wrap gap-3">
            <Button icon={<Pencil aria-hidden="true" />} onClick={onEdit}>
              {t(unsaved ? "person.edit.on" : "person.edit")}
            </Button>
            {remember === "" && (
              <Button look="quiet" icon={<NotebookPen aria-hidden="true" />} onClick={onEdit}>
                {t("person.remember.add")}
              </Button>
            )}
          </div>
        )}
      </div>
    </header>
  );
}

function Further({
  person,
  onMerge,
  onForget,
}: {
  person: PersonWithPhotos;
  onMerge: () => void;
  onForget: () => void;
}) {
  const { t } = useLanguage();
  const mayExport = useMay("admin");
  const hasExport = useHas("POST /api/v1/persons/{person_id}/export");
  const [exporting, setExporting] = useState(false);
  const save = async () => {
    setExporting(true);
    try {
      await download(`/api/v1/persons/${person.person_id}/export`, "person.zip");
    } catch (error) {
      toast(explain(error, t));
    }
    setExporting(false);
  };
  return (
    <section data-screen-only className="mt-2 grid">
      <h2 className="mb-1 text-xl">{t("person.further")}</h2>
      <Deed text={t("merge.why", { name: person.name })}>
        <Button icon={<Merge aria-hidden="true" />} onClick={onMerge}>
          {t("merge.action")}
        </Button>
      </Deed>
      {mayExport && hasExport && (
        <Deed text={t("export.why")}>
          <Button icon={<Download aria-hidden="true" />} busy={exporting} onClick={() => void save()}>
            {t("export.action")}
          </Button>
        </Deed>
      )}
      <Deed text={t("forget.why", { name: person.name })}>
        <Button look="danger" icon={<UserX aria-hidden="true" />} onClick={onForget}>
          {t("forget.action")}
        </Button>
      </Deed>
    </section>
  );
}

/** Something that is done seldom, and what it is good for. */
function Deed({ text, children }: { text: string; children: ReactNode }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3 border-b border-line py-4 last:border-b-0">
      <p className="min-w-[min(16rem,100%)] flex-1 text-lg">{text}</p>
      {children}
    </div>
  );
}

/** Pick whose photos come here; the other entry goes, until that is undone. */
function MergePerson({ person, open, onClose }: { person: PersonWithPhotos; open: boolean; onClose: () => void }) {
  const { t } = useLanguage();
  const { bring } = useBringTogether();
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t("merge.title", { name: person.name })}
      description={t("merge.text", { name: person.name })}
    >
      <PickPerson
        except={person.person_id}
        onPick={(other) => {
          onClose();
          void bring(person, other);
        }}
      />
    </Dialog>
  );
}
