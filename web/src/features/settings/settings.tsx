import { Page } from "@/components/page";
import { Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";

export default function Settings() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.settings")}>
      <Loading />
    </Page>
  );
}
