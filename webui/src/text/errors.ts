/** Errors of the API in the operator's language. */

import { ApiError } from "@/api/http";
import { i18n } from "@/i18n";

/** The sentence for an error code. */
export function errorText(error: unknown): string {
  const { t, te } = i18n.global;
  if (!(error instanceof ApiError)) return t("errors.unknown");
  const key = `errors.${error.code}`;
  return t(te(key) ? key : "errors.unknown");
}
