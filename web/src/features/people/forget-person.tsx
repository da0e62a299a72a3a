import { UserX } from "lucide-react";
import { useLocation } from "wouter";
import type { PersonWithPhotos } from "@/client/api";
import { useForget } from "@/client/people";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";

/** Forgetting is for good, so this is the one thing that is asked about. */
export function ForgetPerson({
  person,
  open,
  onClose,
}: {
  person: PersonWithPhotos;
  open: boolean;
  onClose: () => void;
}) {
  const { t } = useLanguage();
  const [, go] = useLocation();
  const forget = useForget();
  const { name } = person;
  const act = () =>
    forget.mutate(person.person_id, {
      onSuccess: () => {
        toast(t("forget.done", { name }));
        go("/people", { replace: true });
      },
    });
  return (
    <Dialog open={open} onClose={onClose} title={t("forget.title", { name })}>
      <ul className="mb-6 grid list-disc gap-2 pl-6 text-lg">
        <li>{t("forget.means.photos", { count: person.photos.length })}</li>
        <li>{t("forget.means.camera", { name })}</li>
        <li>{t("forget.means.final")}</li>
        <li>{t("forget.means.backup")}</li>
      </ul>
      {forget.isError && (
        <p role="alert" className="mb-4 font-medium text-danger">
          {explain(forget.error, t)}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-3">
        <Button autoFocus onClick={onClose}>
          {t("forget.keep", { name })}
        </Button>
        <Button look="danger" busy={forget.isPending} icon={<UserX aria-hidden="true" />} onClick={act}>
          {t("forget.confirm")}
        </Button>
      </div>
    </Dialog>
  );
}
