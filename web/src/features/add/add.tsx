import { Camera, Check, Eraser, UserPlus, Users, Video } from "lucide-react";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useSearch } from "wouter";
import type { Schema } from "@/client/api";
import { type Details, isAsWas, useAddPhotos, usePerson, useRegister } from "@/client/people";
import { Button, ButtonLink } from "@/components/button";
import { Card, Page } from "@/components/page";
import { Await } from "@/components/states";
import { toast } from "@/components/toast";
import { type Advice, adviceWords } from "@/features/people/advice";
import { ConsentFields } from "@/features/people/consent-fields";
import { DetailsFields, NO_DETAILS } from "@/features/people/details-fields";
import { Portrait } from "@/features/people/portrait";
import { useConsent } from "@/features/people/use-consent";
import { useDraft } from "@/lib/drafts";
import { explain } from "@/lib/explain";
import { type Key, useLanguage } from "@/lib/i18n";
import { Capture } from "./capture";
import { ChooseFiles, DropFiles } from "./drop-files";
import { useLikeness } from "./likeness";
import { LooksLike, resembled } from "./looks-like";
import { Pictures } from "./pictures";
import { batches, boxesOf, fitOf, isAsking, isChecking, type Queue, settle } from "./queue";
import { release, useQueue } from "./use-queue";

interface Named {
  person_id: string;
  name: string;
}

interface Saved extends Named {
  photos: number;
  /** Pictures that were here already. */
  copies: number;
  refused: number;
  /** Different views, of all the photos there are now. */
  views: number;
  /** What was written stays unsaved: the person was here, with other words. */
  asWas: boolean;
  misfit: boolean;
  other: Named | null;
  advice: Advice | null;
  /** Someone who was here already. */
  known: boolean;
}

/** Add a person; with `?to=ID`, photos of one who is here already. */
export default function AddScreen() {
  const to = new URLSearchParams(useSearch()).get("to");
  // Another person, another form.
  return to === null ? <Add key="new" to={null} /> : <AddTo key={to} personId={to} />;
}

function AddTo({ personId }: { personId: string }) {
  const { t } = useLanguage();
  const person = usePerson(personId);
  if (person.data !== undefined) return <Add to={person.data} />;
  return <Page title={t("add.title")}>{<Await query={person}>{() => null}</Await>}</Page>;
}

const SOURCE =
  "flex min-h-28 flex-1 basis-32 flex-col items-center justify-center gap-2 rounded-card border-2 border-edge bg-surface p-4 text-center text-lg leading-tight font-semibold hover:bg-tint [&>svg]:size-9 [&>svg]:text-accent";

function Add({ to }: { to: Named | null }) {
  const { t } = useLanguage();
  const key = to?.person_id ?? "new";
  const { queue, setQueue, addFiles, addShot, pick, remove, checkAgain } = useQueue(key);
  const [capturing, setCapturing] = useState(false);
  const [written, setWritten] = useDraft<Details>(`details ${key}`);
  const details = written ?? NO_DETAILS;
  const setDetails = (next: Details) => setWritten(Object.values(next).every((text) => text === "") ? null : next);
  const [tried, setTried] = useState(false);
  /** "Remember" was pressed while photos were looked at: it is done as soon as they were. */
  const [wanted, setWanted] = useState(false);
  const [saved, setSaved] = useState<Saved | null>(null);
  const consent = useConsent(details.name);
  const register = useRegister();
  const addPhotos = useAddPhotos();
  const busy = register.isPending || addPhotos.isPending;
  const error = register.error ?? addPhotos.error;
  const ready = fitOf(queue);
  const { comparing, odd } = useLikeness(queue, to?.person_id ?? null);
  /** Which of them were asked about: pressed once more, they are meant. */
  const [asked, setAsked] = useState<string | null>(null);
  const strangers = [...odd].join(" ");
  const looking = isChecking(queue) || comparing;

  const called = details.name.trim();
  const action = to !== null ? t("photos.add") : called === "" ? t("add.save") : t("add.save.name", { name: called });
  const lacking = tried && !isChecking(queue) ? lack(queue) : null;

  const save = async () => {
    setTried(true);
    if (to === null && (details.name.trim() === "" || consent.missing)) return;
    if (looking) return setWanted(true);
    if (ready.length === 0 || isAsking(queue)) return;
    if (odd.size > 0 && asked !== strangers) return setAsked(strangers);
    let person = to;
    let other: Named | null = null;
    let advice: Advice | null = null;
    let settled = queue;
    let views = 0;
    let asWas = false;
    const said: string[] = [];
    try {
      for (const batch of batches(queue)) {
        const photos = { images: batch.map((picture) => picture.content), boxes: boxesOf(batch) };
        let reply: Schema["PhotosAdded"];
        if (person === null) {
          const registered = await register.mutateAsync({ details, consent: consent.record, ...photos });
          person = { person_id: registered.person_id, name: registered.name };
          reply = registered;
        } else {
          reply = await addPhotos.mutateAsync({ person_id: person.person_id, ...photos });
        }
        other ??= resembled(reply.warnings);
        advice = reply.advice;
        settled = settle(settled, batch, reply.photos);
        views = reply.views;
        asWas ||= isAsWas(reply);
        said.push(...reply.warnings.map((warning) => warning.code));
        setQueue(() => settled);
      }
    } catch (error) {
      setQueue(() => settled);
      consent.refused(error);
      if (person === null || person === to) return; // said beside the button; nothing is lost
    }
    if (person === null) return;
    clear();
    setCapturing(false);
    const count = (state: string) => settled.filter((picture) => picture.state === state).length;
    const copies = said.filter((code) => code === "SAME_PHOTO").length;
    setSaved({
      ...person,
      photos: count("kept") - copies,
      copies,
      refused: count("refused"),
      views,
      asWas,
      misfit: said.includes("DOES_NOT_FIT"),
      other,
      advice,
      known: to !== null,
    });
  };

  const goOn = useRef(save);
  goOn.current = save;
  const looked = wanted && !looking;
  useEffect(() => {
    if (!looked) return;
    setWanted(false);
    void goOn.current();
  }, [looked]);

  const clear = () => {
    setQueue(() => []);
    setWritten(null);
    consent.reset();
    setTried(false);
    setWanted(false);
    release(queue);
  };
  const startAfresh = () => {
    setQueue(() => []);
    setWritten(null);
    setTried(false);
    setWanted(false);
    const undo = async () => {
      // What was being looked at is looked at again.
      setQueue(() => queue.map((each) => (each.state === "checking" ? { ...each, state: "waiting" } : each)));
      setWritten(written);
    };
    toast(t("add.anew.done"), undo, () => release(queue));
  };

  if (saved?.other)
    return (
      <Page title={t("likeness.title")}>
        <LooksLike
          added={saved}
          other={saved.other}
          onAnswer={(left) =>
            setSaved({
              ...saved,
              ...left,
              other: null,
              advice: left.person_id === saved.person_id ? saved.advice : null,
              known: saved.known || left.person_id !== saved.person_id,
            })
          }
        />
      </Page>
    );
  if (saved !== null) return <Done saved={saved} again={to === null ? () => setSaved(null) : null} />;

  return (
    <Page
      title={to === null ? t("add.title") : t("add.to.title", { name: to.name })}
      wide={to === null}
      actions={
        (queue.length > 0 || written !== null) &&
        !busy && (
          <Button look="quiet" icon={<Eraser aria-hidden="true" />} onClick={startAfresh}>
            {t("add.anew")}
          </Button>
        )
      }
    >
      <form
        noValidate
        onSubmit={(event: FormEvent) => {
          event.preventDefault();
          void save();
        }}
        className={`grid items-start gap-6 ${to === null ? "lg:grid-cols-[1.15fr_1fr]" : ""}`}
      >
        <DropFiles onFiles={addFiles}>
          <Card title={t("add.pictures")}>
            <div className="grid gap-5">
              {capturing ? (
                <Capture onShot={addShot} onDone={() => setCapturing(false)} />
              ) : (
                <>
                  {queue.length === 0 && <p className="text-lg text-soft">{t("add.pictures.text")}</p>}
                  <div className="flex flex-wrap gap-3">
                    <button type="button" onClick={() => setCapturing(true)} className={SOURCE}>
                      <Camera aria-hidden="true" />
                      {t("add.camera")}
                    </button>
                    <ChooseFiles onFiles={addFiles} className={SOURCE} />
                  </div>
                  <p className="text-soft max-sm:hidden">{t("add.drop")}</p>
                </>
              )}
              {queue.length > 0 && (
                <Pictures queue={queue} odd={odd} onChoose={pick} onRemove={remove} onAgain={checkAgain} />
              )}
              {lacking !== null && (
                <p role="alert" className="font-medium text-danger">
                  {t(lacking)}
                </p>
              )}
            </div>
          </Card>
        </DropFiles>
        <div className="grid gap-6 lg:sticky lg:top-8">
          {to === null && (
            <Card title={t("add.who")}>
              <DetailsFields value={details} onChange={setDetails} nameMissing={tried} />
            </Card>
          )}
          {to === null && consent.needed && (
            <Card title={t("consent.title")}>
              <ConsentFields
                value={consent.draft}
                onChange={consent.setDraft}
                personName={details.name}
                tried={tried}
              />
            </Card>
          )}
          {error !== null && !busy && (
            <p role="alert" className="rounded-2xl bg-danger-tint p-4 font-medium text-danger">
              {explain(error, t)}
            </p>
          )}
          {odd.size > 0 && asked === strangers && !busy && (
            <p role="alert" className="rounded-2xl bg-maybe-tint p-4 font-medium text-maybe">
              {t("add.pictures.odd", { count: odd.size, action })}
            </p>
          )}
          <Button
            look="primary"
            type="submit"
            busy={busy || wanted}
            icon={<UserPlus aria-hidden="true" />}
            className="min-h-14 text-lg"
          >
            {busy ? t("add.saving", { count: ready.length }) : wanted ? t("add.waiting") : action}
          </Button>
        </div>
      </form>
    </Page>
  );
}

/** What must be done about the photos before they can be sent. */
function lack(queue: Queue): Key | null {
  if (isAsking(queue)) return "add.pictures.choose";
  if (fitOf(queue).length > 0) return null;
  return queue.length === 0 ? "add.pictures.missing" : "add.pictures.unfit";
}

/** It is done: whom Visage knows now, and where to go from here. */
function Done({ saved, again }: { saved: Saved; again: (() => void) | null }) {
  const { t } = useLanguage();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    heading.current?.focus();
  }, []);
  return (
    <div className="mx-auto grid w-full max-w-xl animate-rise justify-items-center gap-5 px-4 py-10 text-center">
      <div className="relative">
        <Portrait personId={saved.person_id} className="size-44 sm:size-56" />
        <span className="absolute -right-3 -bottom-3 grid size-14 place-items-center rounded-full bg-accent text-on-accent">
          <Check aria-hidden="true" className="size-8" />
        </span>
      </div>
      <h1 ref={heading} tabIndex={-1} className="mt-3 text-3xl outline-none sm:text-4xl">
        {t(saved.known ? "added.known" : "added.title", { name: saved.name })}
      </h1>
      <div role="status" className="grid gap-2 text-lg text-soft">
        {saved.photos > 0 && <p>{t("added.photos", { count: saved.photos })}</p>}
        {saved.copies > 0 && <p>{t("added.copies", { count: saved.copies })}</p>}
        {saved.refused > 0 && <p>{t("added.refused", { count: saved.refused })}</p>}
        {saved.misfit && <p>{t("added.misfit", { name: saved.name })}</p>}
        {saved.asWas && <p>{t("added.as_was", { name: saved.name })}</p>}
        {saved.advice !== null && <p>{adviceWords(saved.advice, saved.name, t)}</p>}
      </div>
      <div className="mt-2 flex flex-wrap justify-center gap-3">
        <ButtonLink href={`/people/${saved.person_id}`} look="primary" icon={<Users aria-hidden="true" />}>
          {t("added.open", { name: saved.name })}
        </ButtonLink>
        {again !== null && (
          <Button icon={<UserPlus aria-hidden="true" />} onClick={again}>
            {t("added.again")}
          </Button>
        )}
        <ButtonLink href="/" look="quiet" icon={<Video aria-hidden="true" />}>
          {t("added.live")}
        </ButtonLink>
      </div>
    </div>
  );
}
