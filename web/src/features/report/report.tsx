import { Page } from "@/components/page";
import { Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";

export default function Report() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.report")}>
      <Loading />
    </Page>
  );
}
