import { Archive, Download } from "lucide-react";
import { download, type Progress } from "@/client/download";
import { useHas } from "@/client/server";
import { useMay } from "@/client/session";
import { Button } from "@/components/button";
import { Card } from "@/components/page";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { Bar, useProgress } from "./progress";
import { Restore } from "./restore";

/** Carry everything to safety, and back; for admins, where the server can. */
export function Backup() {
  const { t } = useLanguage();
  const canBackUp = useHas("POST /api/v1/backup");
  const canRestore = useHas("POST /api/v1/restore");
  const canExport = useHas("POST /api/v1/export");
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
            run={(onProgress) => download("/api/v1/backup", "visage-backup", onProgress)}
          />
        )}
        {canRestore && <Restore />}
        {canExport && (
          <Fetch
            text={t("export.all.text")}
            label={t("export.all.action")}
            icon={<Download aria-hidden="true" />}
            done={t("export.all.done")}
            run={(onProgress) => download("/api/v1/export", "visage-export.zip", onProgress)}
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
  const { t } = useLanguage();
  const { progress, run: go } = useProgress();
  const act = async () => {
    try {
      await go(run);
      toast(done);
    } catch (error) {
      toast(explain(error, t));
    }
  };
  return (
    <div className="grid gap-3">
      <p className="text-lg text-soft">{text}</p>
      <Button className="justify-self-start" icon={icon} busy={progress !== null} onClick={() => void act()}>
        {label}
      </Button>
      <Bar progress={progress} label={label} />
    </div>
  );
}
