import { Page } from "@/components/page";
import { Loading } from "@/components/states";
import { useLanguage } from "@/lib/i18n";

export default function Add() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.add")}>
      <Loading />
    </Page>
  );
}
