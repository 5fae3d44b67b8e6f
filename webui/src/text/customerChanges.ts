/** What somebody changed of a customer, field by field, in words. */

import { officeZone } from "./officeTime";

export interface FieldWords {
  /** As in the locale files, or `custom.` and the id of one of the office's own fields. */
  field: string;
  before: string;
  after: string;
}

const isTree = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function say(field: string, value: unknown, locale: string): string {
  if (value === null || value === undefined) return "";
  if (field.endsWith("_ms") && typeof value === "number")
    return new Date(value).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short", timeZone: officeZone() });
  if (Array.isArray(value)) return value.map((one) => say("", one, locale)).join(" / ");
  if (isTree(value)) return [value.label, value.number].filter(Boolean).map(String).join(" ");
  return typeof value === "boolean" ? (value ? "✓" : "✗") : String(value);
}

/** Fields whose words differ; those that the page has no name for are the auditors' business. */
export function changedFields(
  changes: { field: string; before: unknown; after: unknown }[],
  locale: string,
): FieldWords[] {
  return changes.flatMap(({ field, before, after }) => {
    const name = field === "next_contact_ms" ? "next_contact" : field;
    const words = { field: name, before: say(field, before, locale), after: say(field, after, locale) };
    return words.before === words.after || !SHOWN.test(name) ? [] : [words];
  });
}

const SHOWN =
  /^(name|gender|company|title|wechat|email|region|address|postcode|category|level|status|source|note|consent|next_contact|phones|tags|owner|custom\.\d+)$/;
