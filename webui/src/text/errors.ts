/** Errors of the API in the operator's language. */

import { ApiError } from "@/api/http";
import { i18n } from "@/i18n";

/** The sentence for an error code. */
export function codeText(code: string | null): string {
  const { t, te } = i18n.global;
  const key = `errors.${code}`;
  return t(code !== null && te(key) ? key : "errors.unknown");
}

export const errorText = (error: unknown): string => codeText(error instanceof ApiError ? error.code : null);
