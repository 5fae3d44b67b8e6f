/** How parameters are put before people: under headings, with what is wrong with a typed value. */

import type { Parameter, ParameterValue } from "@/api/officeTypes";

/** Headings in their order, and what stands under them: whole keys, or beginnings that end with `_`. */
const SECTIONS: Record<"system" | "channel", [string, string[]][]> = {
  system: [
    ["office", ["customers_shared_by_all", "popup_", "customer_export_level", "recycle_bin_days", "url_pop"]],
    ["place", ["site_", "outside_line_prefix", "language", "time_zone", "holidays", "setup_done"]],
    ["storing", ["storage_", "retention_days", "convert_", "archive_", "recording_encryption"]],
    ["access", ["idle_logout_min", "password_", "login_", "second_factor_level", "allowed_addresses"]],
    ["watch", ["watch_"]],
    ["proof", ["anchor_", "smtp_", "alarm_"]],
    ["programs", ["ncid_", "mqtt_", "webhooks_", "metrics_", "announce_"]],
  ],
  channel: [
    ["general", ["enabled", "name", "line_kind", "group", "popup", "retention_days"]],
    ["what", ["record_", "start_trigger", "continuous", "never_record_", "always_record_", "pause_", "resume_"]],
    ["file", ["recording_format", "pre_roll_", "post_roll_", "shortest_", "longest_"]],
    ["callerId", ["caller_id_", "tone_country"]],
    ["voice", ["voice_", "gain_"]],
    ["line", ["off_hook_", "line_lost_", "ring_", "hook_", "abandoned_"]],
  ],
};

/** The heading under which a parameter stands; `more` for one that no heading knows. */
export function sectionOf(parameter: Parameter): string {
  const sections = parameter.scope === "card" ? [] : SECTIONS[parameter.scope];
  const holds = (mark: string) => (mark.endsWith("_") ? parameter.key.startsWith(mark) : parameter.key === mark);
  return sections.find(([, marks]) => marks.some(holds))?.[0] ?? "more";
}

export interface Section {
  name: string;
  parameters: Parameter[];
}

/** The parameters under their headings. */
export function sectionsOf(parameters: Parameter[], scope: "system" | "channel"): Section[] {
  const names = [...SECTIONS[scope].map(([name]) => name), "more"];
  return names
    .map((name) => ({ name, parameters: parameters.filter((one) => sectionOf(one) === name) }))
    .filter((section) => section.parameters.length);
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** The help of a parameter as people read it: choices by their names, and the signs that Chinese has of its own. */
export function helpText(
  help: string,
  choices: readonly string[],
  name: (choice: string) => string,
  locale: string,
): string {
  let text = help;
  for (const choice of choices) {
    const word = new RegExp(`(?<![\\w-])${escaped(choice)}(?![\\w-])`, "g");
    const said = name(choice);
    if (said !== choice && /^[a-z]+(_[a-z]+)*$/.test(choice)) {
      text = text.replaceAll(word, () => `“${said}”`);
    }
  }
  if (locale === "en") return text;
  const signs: Record<string, string> = { ",": "，", ";": "；", ":": "：" };
  return text
    .replace(/\s*\(([^()]*)\)/g, (whole, inside: string) => (/[\u4e00-\u9fff]/.test(inside) ? `（${inside}）` : whole))
    .replace(/(?<=[\u4e00-\u9fff])\(([^()]*)\)/g, "（$1）")
    .replace(
      /(?<=[\u4e00-\u9fff”）])\s*([,;:])\s*|([,;:])(?=[\u4e00-\u9fff])/g,
      (_, after?: string, before?: string) => {
        const sign = after ?? before ?? "";
        return signs[sign] ?? sign;
      },
    )
    .replace(/”\s+(?=[\u4e00-\u9fff])/g, "”");
}

export type ValueProblem = "required" | "number" | "whole" | "range" | "choice" | null;

/** What is wrong with a value before the box is asked. */
export function problemOf(parameter: Parameter, value: ParameterValue): ValueProblem {
  if (value === null) return parameter.nullable || parameter.secret ? null : "required";
  if (parameter.type === "integer" || parameter.type === "number") {
    if (typeof value !== "number" || !Number.isFinite(value)) return "number";
    if (parameter.type === "integer" && !Number.isInteger(value)) return "whole";
    const low = parameter.minimum ?? Number.NEGATIVE_INFINITY;
    const high = parameter.maximum ?? Number.POSITIVE_INFINITY;
    return value < low || value > high ? "range" : null;
  }
  return parameter.choices.length && !parameter.choices.includes(String(value)) ? "choice" : null;
}

/** What was typed into a field of numbers; text that is no number stays text, so that it can be told. */
export function typedNumber(text: string): ParameterValue {
  const plain = text.trim().replace(",", ".");
  if (!plain) return null;
  const value = Number(plain);
  return Number.isFinite(value) ? value : text;
}

/** The range in words, "" without one; `unit` as people write it. */
export function rangeText(parameter: Parameter, unit = parameter.unit): string {
  const { minimum, maximum } = parameter;
  if (minimum === null && maximum === null) return "";
  const say = (value: number | null, none: string) => (value === null ? none : String(value).replace("-", "−"));
  return `${say(minimum, "−∞")} – ${say(maximum, "∞")} ${unit}`.trim();
}
