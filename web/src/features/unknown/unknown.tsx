import { Page } from "@/components/page";
import { Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";

export default function Unknown() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.unknown")}>
      <Loading />
    </Page>
  );
}
