import { type HouseRules, useChangeHouseRules, useHas, useHouseRules } from "@/client/server";
import { useMay } from "@/client/session";
import { Choice } from "@/components/field";
import { Card } from "@/components/page";
import { Await } from "@/components/states";
import { toast } from "@/components/toast";
import { explain } from "@/lib/explain";
import { useLanguage } from "@/lib/i18n";
import { CAUTION, type Caution, cautionOf, RETENTION, type Retention, retentionOf } from "./caution";

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
  const set = async (next: HouseRules, before: HouseRules) => {
    try {
      await change.mutateAsync(next);
      toast(t("house.saved"), () => change.mutateAsync(before));
    } catch (error) {
      toast(explain(error, t));
    }
  };
  const { target_fpir, retention_days } = rules;
  return (
    <div className="grid gap-7">
      {target_fpir !== undefined && (
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
      {retention_days !== undefined && (
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
    </div>
  );
}
