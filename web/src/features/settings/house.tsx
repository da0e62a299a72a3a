import type { Schema } from "@/client/api";
import { type HouseRules, useChangeHouseRules, useHas, useHouseRules } from "@/client/server";
import { useMay } from "@/client/session";
import { Choice, Switch } from "@/components/field";
import { Card } from "@/components/page";
import { Await } from "@/components/states";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { CAUTION, type Caution, cautionOf, RETENTION, type Retention, retentionOf } from "./caution";
import { Due } from "./due";

type Change = Partial<Schema["SettingsChange"]>;

/** What counts for everybody in the house; there where the server lets it be changed, for admins. */
export function House() {
  const { t } = useLanguage();
  const there = useHas("PATCH /api/v1/settings");
  const shown = useMay("admin") && there;
  const query = useHouseRules(shown);
  if (!shown) return null;
  return (
    <Card title={t("house.title")}>
      <Await query={query}>{(rules) => <Rules rules={rules} />}</Await>
    </Card>
  );
}

function Rules({ rules }: { rules: HouseRules }) {
  const { t } = useLanguage();
  const change = useChangeHouseRules();
  const set = async (next: Change, before: Change) => {
    try {
      await change.mutateAsync(next);
      toast(t("house.saved"), () => change.mutateAsync(before));
    } catch (error) {
      toast(explain(error, t));
    }
  };
  const { target_fpir, retention_days, remember_last_seen, require_consent } = rules;
  const free = (name: keyof Change) => !rules.locked.includes(name);
  return (
    <div className="grid gap-7">
      {free("target_fpir") && (
        <Choice<Caution>
          label={t("house.caution")}
          hint={t("house.caution.hint")}
          value={cautionOf(target_fpir)}
          options={(Object.keys(CAUTION) as Caution[]).map((value) => ({
            value,
            label: t(`house.caution.${value}`),
          }))}
          onChange={(value) => void set({ target_fpir: CAUTION[value] }, { target_fpir })}
        />
      )}
      {free("require_consent") && (
        <Switch
          label={t("house.consent")}
          hint={t("house.consent.hint")}
          checked={require_consent}
          onChange={(value) => void set({ require_consent: value }, { require_consent })}
        />
      )}
      {free("remember_last_seen") && retention_days === null && (
        <Switch
          label={t("house.seen")}
          hint={t("house.seen.hint")}
          checked={remember_last_seen}
          onChange={(value) => void set({ remember_last_seen: value }, { remember_last_seen })}
        />
      )}
      {free("retention_days") && (
        <Choice<Retention>
          label={t("house.retention")}
          hint={t("house.retention.hint")}
          value={retentionOf(retention_days)}
          options={(["never", "90", "365", "730"] as const).map((value) => ({
            value,
            label: t(`house.retention.${value}`),
          }))}
          onChange={(value) => void set({ retention_days: RETENTION[value] }, { retention_days })}
        />
      )}
      {retention_days !== null && <Due />}
      {rules.locked.length > 0 && <p className="text-soft">{t("house.locked")}</p>}
    </div>
  );
}
