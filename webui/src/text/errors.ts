/** Errors of the API in the operator's language. */

import { ApiError } from "@/api/http";
import { i18n } from "@/i18n";

/** The sentence for a known error code, else what the box said. */
export function errorText(error: unknown): string {
  const { t, te } = i18n.global;
  if (!(error instanceof ApiError)) return t("errors.unknown");
  const key = `errors.${error.code}`;
  return te(key, "en") ? t(key) : error.message || t("errors.unknown");
}
