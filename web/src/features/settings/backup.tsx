import { useQueryClient } from "@tanstack/react-query";
import { Archive, ArchiveRestore, Download } from "lucide-react";
import { useRef, useState } from "react";
import { asForm } from "@/client/api";
import { download, type Progress, upload } from "@/client/download";
import { useHas } from "@/client/server";
import { useMay } from "@/client/session";
import { Button } from "@/components/button";
import { Card } from "@/components/page";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

/** Carry everything to safety, and back; for admins, where the server can. */
export function Backup() {
  const { t } = useLanguage();
  const canBackUp = useHas("POST /api/v1/backup");
  const canRestore = useHas("POST /api/v1/restore");
  const canExport = useHas("GET /api/v1/export");
  const may = useMay("admin");
  if (!may || !(canBackUp || canRestore || canExport)) return null;
  return (
    <Card title={t("backup.title")}>
      <div className="grid gap-7">
        {canBackUp && (
          <Fetch
            text={t("backup.text")}
            label={t("backup.action")}
            icon={<Archive aria-hidden="true" />}
            done={t("backup.done")}
            run={(onProgress) => download("POST", "/api/v1/backup", "visage-backup", onProgress)}
          />
        )}
        {canRestore && <Restore />}
        {canExport && (
          <Fetch
            text={t("export.all.text")}
            label={t("export.all.action")}
            icon={<Download aria-hidden="true" />}
            done={t("export.all.done")}
            run={(onProgress) => download("GET", "/api/v1/export", "visage-export.zip", onProgress)}
          />
        )}
      </div>
    </Card>
  );
}

function Fetch({
  text,
  label,
  icon,
  done,
  run,
}: {
  text: string;
  label: string;
  icon: React.ReactNode;
  done: string;
  run: (onProgress: (progress: Progress) => void) => Promise<void>;
}) {
  const work = useWork(done);
  return (
    <div className="grid gap-3">
      <p className="text-lg text-soft">{text}</p>
      <Button
        className="justify-self-start"
        icon={icon}
        busy={work.progress !== null}
        onClick={() => void work.go(run)}
      >
        {label}
      </Button>
      <Bar progress={work.progress} label={label} />
    </div>
  );
}

function Restore() {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const input = useRef<HTMLInputElement>(null);
  const work = useWork(t("restore.done"));
  const begin = (file: File) =>
    work.go(async (onProgress) => {
      await upload("/api/v1/restore", asForm({ file }), onProgress);
      await queries.invalidateQueries();
    });
  return (
    <div className="grid gap-3">
      <p className="text-lg text-soft">{t("restore.text")}</p>
      <Button
        className="justify-self-start"
        icon={<ArchiveRestore aria-hidden="true" />}
        busy={work.progress !== null}
        onClick={() => input.current?.click()}
      >
        {t("restore.action")}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          event.target.value = "";
          if (file !== undefined) void begin(file);
        }}
      />
      <Bar progress={work.progress} label={t("restore.action")} />
    </div>
  );
}

function useWork(done: string) {
  const { t } = useLanguage();
  const [progress, setProgress] = useState<Progress | null>(null);
  const go = async (run: (onProgress: (progress: Progress) => void) => Promise<void>) => {
    setProgress({ done: 0, of: null });
    try {
      await run(setProgress);
      toast(done);
    } catch (error) {
      toast(explain(error, t));
    }
    setProgress(null);
  };
  return { progress, go };
}

function Bar({ progress, label }: { progress: Progress | null; label: string }) {
  if (progress === null) return null;
  return (
    <progress
      aria-label={label}
      className="h-3 w-full accent-accent"
      {...(progress.of === null ? {} : { value: progress.done, max: progress.of })}
    />
  );
}
