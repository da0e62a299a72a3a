import { Images } from "lucide-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { useLanguage } from "@/lib/i18n";

/** Pictures may be dragged anywhere onto the page; this part of it shows where they go. */
export function DropFiles({ onFiles, children }: { onFiles: (files: File[]) => void; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const take = useRef(onFiles);
  take.current = onFiles;
  useEffect(() => {
    const listening = new AbortController();
    const on = (kind: "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void) =>
      document.addEventListener(
        kind,
        (event) => event.dataTransfer?.types.includes("Files") && act(event),
        listening,
      );
    on("dragover", (event) => {
      event.preventDefault();
      setOver(true);
    });
    on("dragleave", (event) => event.relatedTarget === null && setOver(false));
    on("drop", (event) => {
      event.preventDefault();
      setOver(false);
      take.current([...(event.dataTransfer?.files ?? [])]);
    });
    return () => listening.abort();
  }, []);
  return (
    <div className={`rounded-card ${over ? "outline-4 outline-offset-4 outline-accent outline-dashed" : ""}`}>
      {children}
    </div>
  );
}

export function ChooseFiles({ onFiles, className }: { onFiles: (files: File[]) => void; className: string }) {
  const { t } = useLanguage();
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" onClick={() => input.current?.click()} className={className}>
        <Images aria-hidden="true" />
        {t("add.files")}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        accept="image/*,.heic,.heif"
        hidden
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </>
  );
}
