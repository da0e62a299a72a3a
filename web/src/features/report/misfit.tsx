import { useQueryClient } from "@tanstack/react-query";
import { ArrowRightLeft, Check, Trash2 } from "lucide-react";
import { useState } from "react";
import { ApiError, api, callBlob } from "@/client/api";
import { addPhotos, deletePhoto } from "@/client/people";
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

/** A photo that does not look like its person's others, beside that person. */
export function Misfit({ misfit }: { misfit: MisfitEntry }) {
  const { t } = useLanguage();
  const remove = useRemovePhoto();
  const move = useMove();
  const [busy, setBusy] = useState(false);
  const { person_id, photo_id, name, looks_like: other } = misfit;
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
        <Captioned caption={name}>
          <Portrait personId={person_id} className="aspect-square w-full" />
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
