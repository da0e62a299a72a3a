import type { Schema } from "@/client/api";
import type { Translate } from "@/lib/i18n";

/** What was done, and what the server warns of, in one message. */
export function teachingWords(
  done: string,
  name: string,
  warnings: readonly Pick<Schema["Warning_"], "code" | "details">[],
  t: Translate,
): string {
  const codes = new Set(warnings.map((warning) => warning.code));
  const like = warnings.find((warning) => warning.code === "LOOKS_LIKE")?.details.name;
  return [
    done,
    codes.has("KEPT_AS_WAS") && t("added.as_was", { name }),
    codes.has("REJECTION_LIFTED") && t("teach.REJECTION_LIFTED", { name }),
    codes.has("OTHER_FACES") && t("teach.OTHER_FACES", { name }),
    codes.has("DOES_NOT_FIT") && t("teach.DOES_NOT_FIT", { name }),
    typeof like === "string" && t("teach.LOOKS_LIKE", { name, other: like }),
  ]
    .filter(Boolean)
    .join(" ");
}
