import { Images } from "lucide-react";
import { type DragEvent, type ReactNode, useRef, useState } from "react";
import { useLanguage } from "@/lib/i18n";

/** Choose pictures, or drag them onto this part of the page. */
export function DropFiles({ onFiles, children }: { onFiles: (files: File[]) => void; children: ReactNode }) {
  const [over, setOver] = useState(false);
  const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files");
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dragging is one way more; the button does the same by keyboard
    <div
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setOver(false)}
      onDrop={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(false);
        onFiles([...event.dataTransfer.files]);
      }}
      className={`rounded-card ${over ? "outline-4 outline-offset-4 outline-accent outline-dashed" : ""}`}
    >
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
        accept="image/*"
        hidden
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </>
  );
}
