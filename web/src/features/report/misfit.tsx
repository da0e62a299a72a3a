import { useQueryClient } from "@tanstack/react-query";
import { ArrowRightLeft, Check, Trash2 } from "lucide-react";
import { useState } from "react";
import { ApiError, api, callBlob } from "@/client/api";
import { addPhotos, deletePhoto, portraitOf, usePerson } from "@/client/people";
import type { BankReport } from "@/client/report";
import { Button } from "@/components/button";
import { FacePicture } from "@/components/face-picture";
import { toast } from "@/components/toast";
import { useHold } from "@/components/use-hold";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { useRemovePhoto } from "../people/photos";
import { Portrait } from "../people/portrait";
import { settle, unsettle } from "./settled";

type MisfitEntry = BankReport["misfits"][number];

/**
 * The photos of one person that do not look like the others. Where that is said of every photo, as of two that differ,
 * it is one question: which of them is it? The one that looks like somebody else is the odd one out.
 */
export function Misfits({ misfits }: { misfits: readonly MisfitEntry[] }) {
  const [first] = misfits;
  const { data: person } = usePerson(first?.person_id ?? "");
  const several = misfits.length > 1;
  if (several && person === undefined) return null;
  const others = person?.photos.filter((photo) => misfits.every(({ photo_id }) => photo_id !== photo.photo_id));
  if (!several || others?.length !== 0)
    return misfits.map((misfit) => <Misfit key={misfit.photo_id} misfit={misfit} others={misfits} />);
  const odd = misfits.filter((misfit) => misfit.looks_like !== null);
  if (odd.length > 0 && odd.length < misfits.length)
    return odd.map((misfit) => <Misfit key={misfit.photo_id} misfit={misfit} others={odd} />);
  return <Disagreeing misfits={misfits} />;
}

/** A photo that does not look like its person's others, beside the best of those: not of the accused. */
function Misfit({ misfit, others }: { misfit: MisfitEntry; others: readonly MisfitEntry[] }) {
  const { t } = useLanguage();
  const remove = useRemovePhoto();
  const move = useMove();
  const [busy, setBusy] = useState(false);
  const { person_id, photo_id, name, looks_like: other } = misfit;
  const { data: person } = usePerson(person_id);
  const right = person?.photos.filter((photo) => others.every((accused) => accused.photo_id !== photo.photo_id));
  const keep = () => {
    settle(photo_id);
    toast(t("report.misfits.kept"), async () => unsettle(photo_id));
  };
  return (
    <li className="grid content-between gap-4 rounded-card border border-line bg-surface p-4 sm:p-5">
      <div className={`grid gap-3 sm:gap-4 ${other === null ? "grid-cols-2" : "grid-cols-3"}`}>
        <Captioned caption={t("report.misfits.this")}>
          <FacePicture src={misfit.url} name="" className="aspect-square w-full border-4 border-maybe" />
        </Captioned>
        <Captioned caption={t("report.misfits.others", { name })}>
          <FacePicture src={right && portraitOf({ photos: right })} name="" className="aspect-square w-full" />
        </Captioned>
        {other !== null && (
          <Captioned caption={other.name}>
            <Portrait personId={other.person_id} className="aspect-square w-full" />
          </Captioned>
        )}
      </div>
      <p className="text-lg">
        {other === null
          ? t("report.misfits.unlike", { name })
          : t("report.misfits.like", { name, other: other.name })}
      </p>
      <div className="grid gap-2.5 sm:grid-cols-2">
        {other !== null && (
          <Button
            className="sm:col-span-2"
            busy={busy}
            icon={<ArrowRightLeft aria-hidden="true" />}
            onClick={() => {
              setBusy(true);
              void move(misfit, other).finally(() => setBusy(false));
            }}
          >
            {t("report.misfits.move", { name: other.name })}
          </Button>
        )}
        <Button icon={<Check aria-hidden="true" />} onClick={keep}>
          {t("report.misfits.keep", { name })}
        </Button>
        <Button icon={<Trash2 aria-hidden="true" />} onClick={() => remove(person_id, photo_id)}>
          {t("photos.remove")}
        </Button>
      </div>
    </li>
  );
}

/** Photos of one person that all differ from each other: nobody is accused, a person looks. */
function Disagreeing({ misfits }: { misfits: readonly MisfitEntry[] }) {
  const { t } = useLanguage();
  const remove = useRemovePhoto();
  const two = misfits.length === 2;
  const name = misfits[0]?.name ?? "";
  const keep = () => {
    for (const { photo_id } of misfits) settle(photo_id);
    toast(t("report.misfits.kept"), async () => {
      for (const { photo_id } of misfits) unsettle(photo_id);
    });
  };
  return (
    <li className="grid content-between gap-4 rounded-card border border-line bg-surface p-4 sm:p-5">
      <div className="grid grid-cols-2 gap-3 sm:gap-4">
        {misfits.map(({ person_id, photo_id, url }) => (
          <div key={photo_id} className="grid content-start gap-2">
            <FacePicture src={url} name="" className="aspect-square w-full" />
            <Button icon={<Trash2 aria-hidden="true" />} onClick={() => remove(person_id, photo_id)}>
              {t("photos.remove")}
            </Button>
          </div>
        ))}
      </div>
      <p className="text-lg">{t(two ? "report.misfits.two" : "report.misfits.all", { name })}</p>
      <Button icon={<Check aria-hidden="true" />} onClick={keep}>
        {t(two ? "report.misfits.both" : "report.misfits.all.keep", { name })}
      </Button>
    </li>
  );
}

function Captioned({ caption, children }: { caption: string; children: React.ReactNode }) {
  return (
    <figure className="grid content-start gap-2">
      {children}
      <figcaption className="text-center leading-snug font-bold">{caption}</figcaption>
    </figure>
  );
}

/** The photo is added to the other person first, and leaves its own when that can no longer be undone. */
function useMove() {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const hold = useHold();
  return async ({ person_id, photo_id }: MisfitEntry, other: { person_id: string; name: string }) => {
    try {
      const picture = await callBlob(
        api.GET("/api/v1/persons/{person_id}/photos/{photo_id}", {
          params: { path: { person_id, photo_id } },
          parseAs: "blob",
        }),
      );
      const { photos, warnings } = await addPhotos(other.person_id, { images: [picture] });
      const [added] = photos;
      if (added?.photo_id == null) throw new ApiError(added?.code ?? "INTERNAL_ERROR", added?.message ?? "", 400);
      const { photo_id: moved } = added;
      hold(
        photo_id,
        t("report.misfits.moved", { name: other.name }),
        () => deletePhoto(queries, person_id, photo_id),
        async () => {
          // One that was there before is not taken away.
          if (!warnings.some((warning) => warning.code === "SAME_PHOTO"))
            await deletePhoto(queries, other.person_id, moved);
        },
      );
    } catch (error) {
      toast(explain(error, t));
    }
  };
}
