/** Several names in one line, with the sign that the language puts between them. */
export const joined = (parts: readonly (string | number)[], locale: string): string =>
  parts.join(locale === "en" ? ", " : "、");
