import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError } from "@/client/api";
import { detect } from "@/client/faces";
import { prepare } from "./prepare";
import { change, choose, judged, newFiles, nextToCheck, type Picture, type Queue } from "./queue";

let last = 0;

/** The pictures of a person to be; each is looked at by the server as soon as it is there. */
export function useQueue() {
  const [queue, setQueue] = useState<Queue>([]);
  const urls = useRef(new Set<string>());

  const enter = useCallback((name: string, size: number, content: Blob, more: Partial<Picture> = {}) => {
    last += 1;
    const url = URL.createObjectURL(content);
    urls.current.add(url);
    const picture: Picture = {
      id: last,
      name,
      size,
      content,
      url,
      state: "waiting",
      code: null,
      issues: [],
      choice: null,
      chosen: null,
      ...more,
    };
    setQueue((all) => [...all, picture]);
  }, []);

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

  const pick = useCallback((picture: Picture, face: number) => setQueue((all) => choose(all, picture.id, face)), []);
  const remove = useCallback((picture: Picture) => {
    setQueue((all) => all.filter((other) => other.id !== picture.id));
    URL.revokeObjectURL(picture.url);
    urls.current.delete(picture.url);
  }, []);
  const clear = useCallback(() => {
    setQueue([]);
    for (const url of urls.current) URL.revokeObjectURL(url);
    urls.current.clear();
  }, []);

  const checking = useRef(new Set<number>());
  useEffect(() => {
    for (const picture of nextToCheck(queue)) {
      if (checking.current.has(picture.id)) continue;
      checking.current.add(picture.id);
      setQueue((all) => change(all, picture.id, { state: "checking" }));
      void check(picture).then((changes) => setQueue((all) => change(all, picture.id, changes)));
    }
  }, [queue]);
  const checkAgain = useCallback((picture: Picture) => {
    checking.current.delete(picture.id);
    setQueue((all) => change(all, picture.id, { state: "waiting", code: null }));
  }, []);

  useEffect(() => {
    const mine = urls.current;
    return () => {
      for (const url of mine) URL.revokeObjectURL(url);
    };
  }, []);

  return { queue, setQueue, addFiles, addShot, pick, remove, clear, checkAgain };
}

async function check(picture: Picture): Promise<Partial<Picture>> {
  const content = picture.content instanceof File ? await prepare(picture.content) : picture.content;
  try {
    return { content, ...judged(await detect(content)) };
  } catch (error) {
    return { content, state: "refused", code: error instanceof ApiError ? error.code : "INTERNAL_ERROR" };
  }
}
