import { useTitle } from "@/components/page";
import { useLanguage } from "@/lib/i18n";

export function Live() {
  const { t } = useLanguage();
  useTitle(t("nav.live"));
  return <h1 className="sr-only">{t("nav.live")}</h1>;
}
