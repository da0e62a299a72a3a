import { useEffect, useState } from "react";
import { verify } from "@/client/faces";
import { boxesOf, fitOf, type Picture, type Queue } from "./queue";

/** What was found so far: whether two pictures, or a picture and the person, show the same face. */
export type Compared = ReadonlyMap<string, boolean>;

/** Each picture is compared with at most so many others: the first ones. */
const REFERENCES = 3;

/** With whom a picture is compared: the person who is here already, or the first pictures. */
type Other = Picture | null;

/**
 * Which of the pictures seem to show somebody else, looked for while they are still only chosen.
 *
 * @param personId of the person who is here already, or null: the pictures are compared with each other.
 */
export function useLikeness(queue: Queue, personId: string | null): { comparing: boolean; odd: ReadonlySet<number> } {
  const [compared, setCompared] = useState<Compared>(new Map());
  const next = nextToCompare(queue, personId !== null, compared);
  const key = next === null ? null : keyOf(...next);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key names the pair
  useEffect(() => {
    if (next === null || key === null) return;
    let over = false;
    const [picture, other] = next;
    const [box = null, otherBox = null] = boxesOf(other === null ? [picture] : [picture, other]);
    const against = other === null ? { person_id: personId ?? "" } : { image_2: other.content, box_2: otherBox };
    verify({ image: picture.content, box, ...against })
      .then(({ same }) => same)
      .catch(() => true) // what cannot be compared is not accused
      .then((same) => over || setCompared((all) => new Map(all).set(key, same)));
    return () => {
      over = true;
    };
  }, [key, personId]);
  return { comparing: next !== null, odd: oddOf(queue, personId !== null, compared) };
}

/** Pictures that look like none they were compared with. */
export function oddOf(queue: Queue, toPerson: boolean, compared: Compared): ReadonlySet<number> {
  const pictures = fitOf(queue);
  const odd = pictures.filter((picture) => {
    const found = othersOf(picture, pictures, toPerson).map((other) => compared.get(keyOf(picture, other)));
    return found.length > 0 && found.every((same) => same === false);
  });
  return new Set(odd.map((picture) => picture.id));
}

/** The next pair to look at: a picture that was found to be like one is compared no further. */
export function nextToCompare(queue: Queue, toPerson: boolean, compared: Compared): [Picture, Other] | null {
  const pictures = fitOf(queue);
  for (const picture of pictures) {
    const others = othersOf(picture, pictures, toPerson);
    if (others.some((other) => compared.get(keyOf(picture, other)) === true)) continue;
    for (const other of others) if (!compared.has(keyOf(picture, other))) return [picture, other];
  }
  return null;
}

function othersOf(picture: Picture, pictures: Queue, toPerson: boolean): readonly Other[] {
  if (toPerson) return [null];
  return pictures.filter((other) => other !== picture).slice(0, REFERENCES);
}

/** The same the other way round; another face that is chosen makes another pair. */
export function keyOf(picture: Picture, other: Other): string {
  const name = (each: Other) => (each === null ? "person" : `${each.id}/${each.chosen ?? ""}`);
  return [name(picture), name(other)].sort().join(" ");
}
