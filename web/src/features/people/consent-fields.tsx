import { Choice, TextField } from "@/components/field";
import { useLanguage } from "@/lib/i18n";
import { type ConsentDraft, faultsOf, giverOf, type Who } from "./consent";

/** Who agrees that a face is remembered, as what, until when. */
export function ConsentFields({
  value,
  onChange,
  personName,
  tried,
  withDate = false,
}: {
  value: ConsentDraft;
  onChange: (value: ConsentDraft) => void;
  personName: string;
  /** What is missing is said. */
  tried: boolean;
  /** It may have been given on another day. */
  withDate?: boolean;
}) {
  const { t } = useLanguage();
  const faults = faultsOf(value, personName.trim());
  const set = (change: Partial<ConsentDraft>) => onChange({ ...value, ...change });
  return (
    <div className="grid gap-5">
      <Choice<Who | "">
        label={t("consent.who")}
        value={value.who}
        options={(["self", "representative", "else"] as const).map((who) => ({
          value: who,
          label: t(`consent.who.${who}`),
        }))}
        error={tried && faults.who && t("consent.who.missing")}
        onChange={(who) => set({ who })}
      />
      {value.who === "else" && (
        <TextField
          label={t("consent.as")}
          hint={t("consent.as.hint")}
          required
          maxLength={200}
          autoComplete="off"
          value={value.as}
          onChange={(event) => set({ as: event.target.value })}
          error={tried && faults.as && t("consent.as.missing")}
        />
      )}
      {value.who !== "" && (
        <>
          <TextField
            label={t("consent.by")}
            required
            maxLength={200}
            autoComplete="off"
            autoCapitalize="words"
            value={giverOf(value, personName)}
            onChange={(event) => set({ givenBy: event.target.value })}
            error={tried && faults.givenBy && t("consent.by.missing")}
          />
          {withDate && (
            <TextField
              label={t("consent.on")}
              type="date"
              required
              value={value.givenOn}
              onChange={(event) => set({ givenOn: event.target.value })}
              error={tried && faults.givenOn && t("consent.on.missing")}
            />
          )}
          <TextField
            label={t("consent.until")}
            hint={t("consent.until.hint")}
            type="date"
            value={value.until}
            onChange={(event) => set({ until: event.target.value })}
            error={faults.until && t("consent.until.early")}
          />
        </>
      )}
    </div>
  );
}
