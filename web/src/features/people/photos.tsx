import { useQueryClient } from "@tanstack/react-query";
import { ImagePlus, Trash2 } from "lucide-react";
import type { PersonWithPhotos } from "@/client/api";
import { deletePhoto } from "@/client/people";
import { useMay } from "@/client/session";
import { ButtonLink } from "@/components/button";
import { FacePicture } from "@/components/face-picture";
import { useHold } from "@/components/use-hold";
import { useHeld } from "@/lib/held";
import { useLanguage } from "@/lib/i18n";
import { adviceOf, gradeOf } from "./quality-words";

const ENOUGH = 3;

/** The photos of a person, what is wrong with them, and removing them. */
export function Photos({ person }: { person: PersonWithPhotos }) {
  const { t } = useLanguage();
  const may = useMay("editor");
  const held = useHeld();
  const remove = useRemovePhoto();
  const photos = person.photos.filter((photo) => !held(photo.photo_id));
  return (
    <section aria-labelledby="photos" className="grid gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h2 id="photos" className="text-xl">
          {t("photos.title", { count: photos.length })}
        </h2>
        {may && (
          <ButtonLink
            href={`/add?to=${person.person_id}`}
            look={person.views < ENOUGH ? "primary" : "secondary"}
            icon={<ImagePlus aria-hidden="true" />}
          >
            {t("photos.add")}
          </ButtonLink>
        )}
      </div>
      {may && person.views < ENOUGH && (
        <p data-screen-only className="text-lg text-soft">
          {t("photos.few")}
        </p>
      )}
      <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(9.25rem,100%),1fr))] gap-3 sm:gap-4">
        {photos.map((photo, index) => {
          const grade = gradeOf(photo.quality);
          const advice = adviceOf(photo.quality.issues);
          return (
            <li
              key={photo.photo_id}
              className="flex flex-col overflow-hidden rounded-card border border-line bg-surface"
            >
              <FacePicture
                src={photo.url}
                name={t("photos.alt", { number: index + 1, name: person.name })}
                className="aspect-square w-full rounded-none"
              />
              <div data-screen-only className="flex flex-1 flex-col justify-between gap-2 p-3">
                <p className="text-soft">
                  <span className={`font-semibold ${grade === "good" ? "text-ink" : "text-maybe"}`}>
                    {t(`quality.${grade}`)}
                  </span>
                  {grade !== "good" && advice !== null && <span className="block">{t(advice)}</span>}
                </p>
                {may && photos.length > 1 && (
                  <button
                    type="button"
                    onClick={() => remove(person.person_id, photo.photo_id)}
                    className="-mx-2 -mb-1 inline-flex min-h-12 items-center gap-2 rounded-2xl px-2 font-semibold hover:bg-sunken"
                  >
                    <Trash2 aria-hidden="true" className="size-5" />
                    {t("photos.remove")}
                  </button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
      {may && photos.length === 1 && person.photos.length === 1 && (
        <p data-screen-only className="text-soft">
          {t("photos.last")}
        </p>
      )}
    </section>
  );
}

/** A photo that is removed cannot be brought back by the server, so it is sent only when the time to undo is over. */
export function useRemovePhoto() {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const hold = useHold();
  return (person_id: string, photo_id: string) =>
    hold(photo_id, t("photos.removed"), () => deletePhoto(queries, person_id, photo_id));
}
