import type { Details } from "@/client/people";
import { TextArea, TextField } from "@/components/field";
import { useLanguage } from "@/lib/i18n";

export const NO_DETAILS: Details = { name: "", relationship: "", remember: "", notes: "" };

/** Who a person is: name, relationship, one line to remember, notes. */
export function DetailsFields({
  value,
  onChange,
  nameMissing = false,
  withNotes = false,
}: {
  value: Details;
  onChange: (value: Details) => void;
  nameMissing?: boolean;
  withNotes?: boolean;
}) {
  const { t } = useLanguage();
  const field = (key: keyof Details) => ({
    name: key,
    value: value[key],
    autoComplete: "off",
    onChange: (event: { target: { value: string } }) => onChange({ ...value, [key]: event.target.value }),
  });
  return (
    <div className="grid gap-5">
      <TextField
        label={t("details.name")}
        required
        maxLength={200}
        autoCapitalize="words"
        error={nameMissing && value.name.trim() === "" && t("details.name.missing")}
        {...field("name")}
      />
      <TextField
        label={t("details.relationship")}
        hint={t("details.relationship.hint")}
        maxLength={200}
        {...field("relationship")}
      />
      <TextField
        label={t("details.remember")}
        hint={t("details.remember.hint")}
        maxLength={200}
        {...field("remember")}
      />
      {withNotes && (
        <TextArea label={t("details.notes")} hint={t("details.notes.hint")} maxLength={8000} {...field("notes")} />
      )}
    </div>
  );
}
