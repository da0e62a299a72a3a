import { useQueryClient } from "@tanstack/react-query";
import { ScanFace, UserPlus, X } from "lucide-react";
import { useState } from "react";
import { dismissUnknown, type UnknownFace, useUnknowns } from "@/client/unknowns";
import { Button } from "@/components/button";
import { FacePicture } from "@/components/face-picture";
import { Page } from "@/components/page";
import { Await, Empty } from "@/components/states";
import { toast } from "@/components/toast";
import { useHold } from "@/components/use-hold";
import { useHeld } from "@/lib/held";
import { useLanguage } from "@/lib/i18n";
import { sayAgo } from "@/lib/when";
import { NameFace } from "./name-face";
import { teachingWords } from "./teaching-words";

/** Faces of the last minutes that nobody knows: name one, or let it go. */
export default function Unknown() {
  const { t } = useLanguage();
  const query = useUnknowns();
  const held = useHeld();
  const dismiss = useDismiss();
  const [naming, setNaming] = useState<UnknownFace | null>(null);
  return (
    <Page title={t("unknown.title")} wide>
      <p className="-mt-3 mb-6 max-w-2xl text-lg text-soft">{t("unknown.text")}</p>
      <Await query={query}>
        {(data) => {
          const faces = data.unknowns.filter((face) => !held(face.unknown_id));
          return faces.length === 0 ? (
            <Empty icon={<ScanFace />} title={t("unknown.empty.title")}>
              {t("unknown.empty.text")}
            </Empty>
          ) : (
            <Faces faces={faces} onName={setNaming} onDismiss={dismiss} />
          );
        }}
      </Await>
      <NameFace
        question={naming && { unknownId: naming.unknown_id, picture: null, src: naming.url, likely: null }}
        onClose={() => setNaming(null)}
        onNamed={({ name, warnings, undo }) =>
          toast(teachingWords(t("unknown.named", { name }), name, warnings, t), undo ?? undefined)
        }
      />
    </Page>
  );
}

function Faces({
  faces,
  onName,
  onDismiss,
}: {
  faces: readonly UnknownFace[];
  onName: (face: UnknownFace) => void;
  onDismiss: (face: UnknownFace) => void;
}) {
  const { t, code } = useLanguage();
  return (
    <ul className="grid grid-cols-[repeat(auto-fill,minmax(min(10rem,100%),1fr))] gap-3 sm:grid-cols-[repeat(auto-fill,minmax(14rem,1fr))] sm:gap-5">
      {faces.map((face, index) => (
        <li
          key={face.unknown_id}
          className="flex animate-rise flex-col overflow-hidden rounded-card border border-line bg-surface"
        >
          <FacePicture
            src={face.url}
            name={t("unknown.alt", { number: index + 1 })}
            className="aspect-square w-full rounded-none"
          />
          <div className="grid gap-2 p-2.5 sm:gap-3 sm:p-4">
            <p className="px-1 text-soft">{t("unknown.seen", { when: sayAgo(face.last_seen_at, code) })}</p>
            <Button
              look="primary"
              className="px-2"
              icon={<UserPlus aria-hidden="true" />}
              onClick={() => onName(face)}
            >
              {t("unknown.name")}
            </Button>
            <Button look="quiet" className="px-2" icon={<X aria-hidden="true" />} onClick={() => onDismiss(face)}>
              {t("unknown.dismiss")}
            </Button>
          </div>
        </li>
      ))}
    </ul>
  );
}

function useDismiss(): (face: UnknownFace) => void {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const hold = useHold();
  return (face) =>
    hold(face.unknown_id, t("unknown.dismissed"), async () => {
      await dismissUnknown(face.unknown_id);
      await queries.invalidateQueries({ queryKey: ["unknowns"] });
    });
}
