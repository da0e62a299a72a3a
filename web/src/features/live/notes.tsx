import { Undo2, X } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/button";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import type { Seen } from "./scene";

/** What was done about a face, and how to take it back. */
export interface Note {
  trackId: number;
  message: string;
  undo: (() => Promise<unknown>) | null;
}

/** What can be taken back stands for as long as the face is there, and so long at least. */
const UNDO_MS = 30_000;
const PLAIN_MS = 8_000;

/** The note to show: that of the face on the card, or else the last one. */
export function useNotes(people: readonly Seen[], focus: Seen | null) {
  const [notes, setNotes] = useState<readonly (Note & { until: number })[]>([]);
  const [now, setNow] = useState(0);
  const isThere = (trackId: number) => people.some((one) => one.trackId === trackId);
  const standing = notes.filter((note) => note.until > now || (note.undo !== null && isThere(note.trackId)));
  const shown = standing.findLast((note) => note.trackId === focus?.trackId) ?? standing.at(-1) ?? null;
  const next = Math.min(...notes.map(({ until }) => until).filter((until) => until > now));
  useEffect(() => {
    if (!Number.isFinite(next)) return;
    const timer = setTimeout(() => setNow(performance.now()), next - performance.now() + 1);
    return () => clearTimeout(timer);
  }, [next]);
  const remove = (note: Note) => setNotes((all) => all.filter((one) => one !== note));
  const add = (note: Note) => {
    const until = performance.now() + (note.undo === null ? PLAIN_MS : UNDO_MS);
    setNotes((all) => [...all.filter((one) => one.trackId !== note.trackId), { ...note, until }]);
  };
  return { shown, add, remove };
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
