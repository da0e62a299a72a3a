import { useCallback, useEffect, useRef } from "react";
import { ApiError } from "@/client/api";
import { detect } from "@/client/faces";
import { changeDraft, useDraft } from "@/lib/drafts";
import { isHeic, prepare } from "./prepare";
import { change, choose, judged, newFiles, nextToCheck, type Picture, type Queue } from "./queue";

let last = 0;

const NONE: Queue = [];

/**
 * The pictures of a person to be; each is looked at by the server as soon as it is there. They stay while the page is
 * open, until they are cleared.
 *
 * @param key for whom they are.
 */
export function useQueue(key: string) {
  const draft = `pictures ${key}`;
  const queue = useDraft<Queue>(draft)[0] ?? NONE;
  const setQueue = useCallback(
    (change: (all: Queue) => Queue) =>
      changeDraft<Queue>(draft, (before) => {
        const after = change(before ?? NONE);
        return after.length === 0 ? null : after;
      }),
    [draft],
  );

  const enter = useCallback(
    (name: string, size: number, content: Blob, more: Partial<Picture> = {}) => {
      last += 1;
      const picture: Picture = {
        id: last,
        name,
        size,
        content,
        url: URL.createObjectURL(content),
        state: "waiting",
        code: null,
        issues: [],
        choice: null,
        chosen: null,
        ...more,
      };
      setQueue((all) => [...all, picture]);
    },
    [setQueue],
  );

  const addFiles = useCallback(
    (files: readonly File[]) => {
      for (const file of newFiles(queue, files)) enter(file.name, file.size, file);
    },
    [queue, enter],
  );
  /** A picture that the camera took; taken by itself, it was looked at already. */
  const addShot = useCallback(
    (shot: Blob, good: boolean) => enter("", shot.size, shot, { state: good ? "good" : "waiting" }),
    [enter],
  );

  const pick = useCallback(
    (picture: Picture, face: number) => setQueue((all) => choose(all, picture.id, face)),
    [setQueue],
  );
  const remove = useCallback(
    (picture: Picture) => {
      setQueue((all) => all.filter((other) => other.id !== picture.id));
      release([picture]);
    },
    [setQueue],
  );

  const checking = useRef(new Set<number>());
  useEffect(() => {
    for (const picture of nextToCheck(queue)) {
      if (checking.current.has(picture.id)) continue;
      checking.current.add(picture.id);
      setQueue((all) => change(all, picture.id, { state: "checking" }));
      void check(picture).then((changes) => {
        checking.current.delete(picture.id);
        setQueue((all) => change(all, picture.id, changes));
      });
    }
  }, [queue, setQueue]);
  const checkAgain = useCallback(
    (picture: Picture) => {
      setQueue((all) => change(all, picture.id, { state: "waiting", code: null }));
    },
    [setQueue],
  );

  return { queue, setQueue, addFiles, addShot, pick, remove, checkAgain };
}

/** The previews of pictures that are not shown any more. */
export function release(queue: Queue): void {
  for (const picture of queue) URL.revokeObjectURL(picture.url);
}

async function check(picture: Picture): Promise<Partial<Picture>> {
  const content = picture.content instanceof File ? await prepare(picture.content) : picture.content;
  try {
    return { content, ...judged(await detect(content)) };
  } catch (error) {
    const code = error instanceof ApiError ? error.code : "INTERNAL_ERROR";
    const heic = code === "INVALID_IMAGE" && picture.content instanceof File && isHeic(picture.content);
    return { content, state: "refused", code: heic ? "HEIC" : code };
  }
}
