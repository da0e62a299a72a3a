import { Page } from "@/components/page";
import { Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";

export default function Person() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.people")}>
      <Loading />
    </Page>
  );
}
