import { LogOut } from "lucide-react";
import { useHealth } from "@/client/server";
import { useSession, useSignOut } from "@/client/session";
import { Button } from "@/components/button";
import { Choice } from "@/components/field";
import { Card, Page } from "@/components/page";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { LANGUAGES, nameOfLanguage, useLanguage } from "@/lib/i18n";
import { prefer, usePreferences } from "@/lib/preferences";
import { Backup } from "./backup";
import { CameraChoice } from "./camera-choice";
import { House } from "./house";
import { Keys } from "./keys";
import { Speech } from "./speech";

/** What can be chosen on this device, and by an admin for the house. */
export default function Settings() {
  const { t } = useLanguage();
  return (
    <Page title={t("nav.settings")}>
      <div className="grid gap-6">
        <Looks />
        <Speech />
        <CameraChoice />
        <House />
        <Keys />
        <Backup />
        <About />
      </div>
    </Page>
  );
}

function Looks() {
  const { t, code } = useLanguage();
  const { theme, textSize, language } = usePreferences();
  return (
    <Card title={t("settings.looks")}>
      <div className="grid gap-6">
        <Choice
          label={t("settings.language")}
          value={language ?? code}
          options={LANGUAGES.map((value) => ({ value, label: nameOfLanguage(value) }))}
          onChange={(value) => prefer({ language: value })}
        />
        <Choice
          label={t("settings.text")}
          value={textSize}
          options={(["normal", "large", "largest"] as const).map((value) => ({
            value,
            label: t(`settings.text.${value}`),
          }))}
          onChange={(value) => prefer({ textSize: value })}
        />
        <Choice
          label={t("settings.theme")}
          value={theme}
          options={(["system", "light", "dark"] as const).map((value) => ({
            value,
            label: t(`settings.theme.${value}`),
          }))}
          onChange={(value) => prefer({ theme: value })}
        />
      </div>
    </Card>
  );
}

/** What Visage is, and what it is not. */
function About() {
  const { t } = useLanguage();
  const { data: health } = useHealth();
  const { data: session } = useSession();
  const signOut = useSignOut();
  return (
    <Card title={t("about.title")}>
      <div className="grid gap-3 text-lg">
        <p>{t("about.where")}</p>
        <p>{t("about.not.medical")}</p>
        <p>{t("about.not.lock")}</p>
        {health?.version !== undefined && health.model !== undefined && (
          <p className="text-base text-soft">
            {t("about.version", { version: health.version, model: health.model })}
          </p>
        )}
        {session?.required && (
          <Button
            className="mt-3 justify-self-start"
            icon={<LogOut aria-hidden="true" />}
            busy={signOut.isPending}
            onClick={() => signOut.mutate(undefined, { onError: (error) => toast(explain(error, t)) })}
          >
            {t("about.signout")}
          </Button>
        )}
      </div>
    </Card>
  );
}
