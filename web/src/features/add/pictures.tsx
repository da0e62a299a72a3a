import { CircleAlert, CircleCheck, RotateCw, Trash2, TriangleAlert, UsersRound } from "lucide-react";
import { useState } from "react";
import { Spinner } from "@/components/spinner";
import { adviceOf } from "@/features/people/quality-words";
import english from "@/languages/en.json";
import { type Key, type Translate, useLanguage } from "@/lib/i18n";
import { Faces } from "./faces";
import type { Picture, Queue } from "./queue";

/** The pictures so far: each with what is being done with it, or what is wrong with it and how to do better. */
export function Pictures({
  queue,
  odd,
  onChoose,
  onRemove,
  onAgain,
}: {
  queue: Queue;
  /** Those that seem to show somebody else. */
  odd: ReadonlySet<number>;
  onChoose: (picture: Picture, face: number) => void;
  onRemove: (picture: Picture) => void;
  onAgain: (picture: Picture) => void;
}) {
  const { t } = useLanguage();
  return (
    <ul className="grid gap-2.5" aria-label={t("pictures.label")}>
      {queue.map((picture) => (
        <li
          key={picture.id}
          className={`grid gap-2 rounded-2xl border p-2 ${picture.state === "refused" ? "border-danger bg-danger-tint" : "border-line bg-surface"}`}
        >
          <div className="flex items-center gap-3.5">
            <Preview picture={picture} />
            <div className="min-w-0 flex-1">
              {picture.name !== "" && <p className="text-sm leading-snug text-soft">{picture.name}</p>}
              <State picture={picture} odd={odd.has(picture.id)} />
            </div>
            {picture.state === "refused" && isPassing(picture.code) && (
              <IconButton label={t("action.again")} icon={<RotateCw />} onClick={() => onAgain(picture)} />
            )}
            {picture.state !== "kept" && (
              <IconButton label={t("pictures.remove")} icon={<Trash2 />} onClick={() => onRemove(picture)} />
            )}
          </div>
          <Faces picture={picture} onChoose={(face) => onChoose(picture, face)} />
        </li>
      ))}
    </ul>
  );
}

function IconButton({ label, icon, onClick }: { label: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      onClick={onClick}
      className="grid size-12 shrink-0 place-items-center rounded-2xl hover:bg-sunken"
    >
      <span aria-hidden="true">{icon}</span>
    </button>
  );
}

function Preview({ picture }: { picture: Picture }) {
  const [broken, setBroken] = useState(false);
  return broken ? (
    <span aria-hidden="true" className="grid size-20 shrink-0 place-items-center rounded-xl bg-sunken text-soft">
      ?
    </span>
  ) : (
    <img
      src={picture.url}
      alt=""
      onError={() => setBroken(true)}
      className="size-20 shrink-0 rounded-xl bg-sunken object-cover"
    />
  );
}

function State({ picture, odd }: { picture: Picture; odd: boolean }) {
  const { t } = useLanguage();
  const line = "flex items-start gap-2 font-medium [&>svg]:mt-0.5 [&>svg]:size-5 [&>svg]:shrink-0";
  if (odd)
    return (
      <p role="status" className={`${line} text-maybe`}>
        <TriangleAlert aria-hidden="true" />
        {t("pictures.odd")}
      </p>
    );
  switch (picture.state) {
    case "waiting":
      return <p className={`${line} text-soft`}>{t("pictures.waiting")}</p>;
    case "checking":
      return (
        <p role="status" className={line}>
          <Spinner /> {t("pictures.checking")}
        </p>
      );
    case "good":
    case "kept":
      return (
        <p role="status" className={`${line} text-accent`}>
          <CircleCheck aria-hidden="true" />
          {t(`pictures.${picture.state}`)}
        </p>
      );
    case "fair":
      return (
        <p role="status" className={`${line} text-maybe`}>
          <TriangleAlert aria-hidden="true" />
          <span>
            {t("pictures.fair")} {words(picture, t)}
          </span>
        </p>
      );
    case "choose":
      return (
        <p role="status" className={`${line} text-maybe`}>
          <UsersRound aria-hidden="true" />
          {t("pictures.several")}
        </p>
      );
    case "refused":
      return (
        <p role="status" className={`${line} text-danger`}>
          <CircleAlert aria-hidden="true" />
          {words(picture, t)}
        </p>
      );
  }
}

/** It is not the picture's fault: trying again may help. */
function isPassing(code: string | null): boolean {
  return ["NO_CONNECTION", "RATE_LIMITED", "NOT_READY", "INTERNAL_ERROR", "BANK_ERROR"].includes(code ?? "");
}

/** What is wrong with a picture, and how to do better. */
function words(picture: Picture, t: Translate): string {
  const advice = adviceOf(picture.issues);
  if (picture.code === null || (picture.code === "FACE_NOT_USABLE" && advice !== null))
    return advice === null ? "" : t(advice);
  const key = `error.${picture.code}`;
  return t(key in english ? (key as Key) : "error.FACE_NOT_USABLE");
}
