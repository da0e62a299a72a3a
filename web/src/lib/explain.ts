import { ApiError } from "@/client/api";
import english from "@/languages/en.json";
import type { Key, Translate } from "./i18n";

/**
 * What went wrong and what to do, in the language of the page: the text `error.CODE`; for a code without one, the
 * server's own words.
 */
export function explain(error: unknown, t: Translate): string {
  if (!(error instanceof ApiError)) return t("error.INTERNAL_ERROR");
  const key = `error.${error.code}`;
  return key in english ? t(key as Key) : error.message;
}
