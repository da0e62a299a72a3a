import { Check } from "lucide-react";
import { type Translate, useLanguage } from "@/lib/i18n";
import { type Choice, type Picture, standing } from "./queue";

/** Room around a face, as a part of its longer side. */
const ROOM = 1.5;

/** The faces of a picture that shows several people: a finger says which one is meant. */
export function Faces({ picture, onChoose }: { picture: Picture; onChoose: (face: number) => void }) {
  const { t } = useLanguage();
  const { choice } = picture;
  if (choice === null || picture.state === "kept") return null;
  const marked = picture.chosen ?? standing(choice);
  return (
    <fieldset className="grid gap-2 p-1">
      <legend className={`mb-2 font-medium ${marked === null ? "text-maybe" : ""}`}>
        {t(marked === null ? "faces.choose" : "faces.another")}
      </legend>
      <div className="flex flex-wrap gap-2.5">
        {choice.faces.map((face, index) => (
          <label key={`${face.box.x} ${face.box.y}`} className="relative size-22 cursor-pointer">
            <input
              type="radio"
              name={`face-${picture.id}`}
              className="peer absolute inset-0 size-full cursor-pointer opacity-0"
              checked={marked === index}
              onChange={() => onChoose(index)}
              aria-label={spoken(index, choice, t)}
            />
            <span className="pointer-events-none block size-full overflow-hidden rounded-2xl border-4 border-edge bg-sunken peer-checked:border-accent peer-focus-visible:outline-3 peer-focus-visible:outline-offset-2 peer-focus-visible:outline-accent">
              <Cut picture={picture} choice={choice} index={index} />
            </span>
            {marked === index && (
              <span className="pointer-events-none absolute -right-1.5 -bottom-1.5 grid size-8 place-items-center rounded-full bg-accent text-on-accent">
                <Check aria-hidden="true" className="size-5" />
              </span>
            )}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function spoken(index: number, { faces }: Choice, t: Translate): string {
  return t("faces.number", { number: index + 1, all: faces.length });
}

/** One face, cut out of the picture. */
function Cut({ picture, choice, index }: { picture: Picture; choice: Choice; index: number }) {
  const box = choice.faces[index]?.box;
  if (box === undefined) return null;
  const side = ROOM * Math.max(box.width, box.height);
  const percent = (pixels: number) => `${(100 * pixels) / side}%`;
  return (
    <span className="relative block size-full overflow-hidden">
      <img
        src={picture.url}
        alt=""
        className="absolute max-w-none"
        style={{
          width: percent(choice.image.width),
          height: percent(choice.image.height),
          left: percent(side / 2 - box.x - box.width / 2),
          top: percent(side / 2 - box.y - box.height / 2),
        }}
      />
    </span>
  );
}
