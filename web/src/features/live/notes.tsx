import { Undo2, X } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/button";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { type Kept, type Note, noteToShow, withNote } from "./note";
import type { Seen } from "./scene";

/** What was done about the faces, and which of it is shown now. */
export function useNotes(people: readonly Seen[], focus: Seen | null) {
  const [notes, setNotes] = useState<readonly Kept[]>([]);
  const [nowMs, setNowMs] = useState(0);
  const next = Math.min(...notes.map(({ untilMs }) => untilMs).filter((untilMs) => untilMs > nowMs));
  useEffect(() => {
    if (!Number.isFinite(next)) return;
    const timer = setTimeout(() => setNowMs(performance.now()), next - performance.now() + 1);
    return () => clearTimeout(timer);
  }, [next]);
  return {
    shown: noteToShow(notes, people, focus, nowMs),
    add: (note: Note) => setNotes((all) => withNote(all, note, performance.now())),
    remove: (note: Note) => setNotes((all) => all.filter((one) => one !== note)),
  };
}

/** It stands in its own place on the screen, so that it covers nothing. */
export function NoteBar({ note, onGone }: { note: Note | null; onGone: (note: Note) => void }) {
  const { t } = useLanguage();
  const [busy, setBusy] = useState(false);
  const takeBack = async (taken: Note) => {
    setBusy(true);
    try {
      await taken.undo?.();
    } catch (error) {
      toast(explain(error, t));
    }
    setBusy(false);
    onGone(taken);
  };
  return (
    <div role="status">
      {note !== null && (
        <div className="flex animate-rise flex-wrap items-center justify-end gap-2 rounded-2xl bg-tint py-1.5 pr-1.5 pl-4">
          <p className="min-w-40 flex-1 py-1 font-medium">{note.message}</p>
          {note.undo !== null && (
            <Button icon={<Undo2 aria-hidden="true" />} busy={busy} onClick={() => void takeBack(note)}>
              {t("action.undo")}
            </Button>
          )}
          <button
            type="button"
            aria-label={t("action.close")}
            onClick={() => onGone(note)}
            className="grid size-12 place-items-center rounded-2xl hover:bg-sunken"
          >
            <X aria-hidden="true" />
          </button>
        </div>
      )}
    </div>
  );
}
