import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { createI18n } from "vue-i18n";
import backupEn from "@/locales/backup.en.json";
import backupZhCN from "@/locales/backup.zh-CN.json";
import boxEn from "@/locales/box.en.json";
import boxZhCN from "@/locales/box.zh-CN.json";
import deskEn from "@/locales/desk.en.json";
import deskZhCN from "@/locales/desk.zh-CN.json";
import en from "@/locales/en.json";
import officeEn from "@/locales/office.en.json";
import officeZhCN from "@/locales/office.zh-CN.json";
import takeHomeEn from "@/locales/take-home.en.json";
import takeHomeZhCN from "@/locales/take-home.zh-CN.json";
import zhCN from "@/locales/zh-CN.json";
import { PLACES, SETTINGS_PAGES } from "@/places";
import { BOX_ALARMS } from "@/stores/alarms";
import { STEPS } from "@/stores/firstStart";
import { SPANS } from "@/stores/reports";
import { ALL_PERMISSIONS, PERMISSIONS, TEMPLATES } from "@/stores/staff";
import { CHECKS } from "@/text/lineChecks";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") found.set(prefix + key, value);
    else for (const [inner, text] of flat(value, `${prefix}${key}.`)) found.set(inner, text);
  }
  return found;
}

const texts = {
  en: flat({ ...en, ...officeEn, ...deskEn, ...boxEn, ...takeHomeEn, ...backupEn }),
  zh: flat({ ...zhCN, ...officeZhCN, ...deskZhCN, ...boxZhCN, ...takeHomeZhCN, ...backupZhCN }),
};
const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

const root = fileURLToPath(new URL("../src", import.meta.url));
const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.(vue|ts)$/.test(path))
  .map((path) => readFileSync(`${root}/${path}`, "utf8"))
  .join("\n");

describe("the locale files", () => {
  it("have the same keys", () => {
    expect([...texts.zh.keys()].sort()).toEqual([...texts.en.keys()].sort());
  });

  it("have no empty text, and the same placeholders in each of its numbers", () => {
    for (const [key, text] of texts.en) {
      expect(text.trim(), key).not.toBe("");
      const forms = text.split(" | ");
      expect(forms.length, key).toBeLessThanOrEqual(2);
      for (const form of forms) expect(placeholders(texts.zh.get(key) ?? ""), key).toEqual(placeholders(form));
    }
  });

  it("speak of one and of many", () => {
    const { t } = createI18n({ legacy: false, locale: "en", messages: { en } }).global;
    expect([0, 1, 2].map((n) => t("popup.count", { n }))).toEqual(["0 calls", "1 call", "2 calls"]);
  });

  it("know every key that the source names", () => {
    const named = [...sources.matchAll(/\bt\(\s*["'](\w+\.\w+)["']/g)].map((match) => match[1] ?? "");
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((key) => !texts.en.has(key))).toEqual([]);
  });

  it("know every value that the pages put into words", () => {
    const alarms = ["line_lost", "card_lost", "samples_lost", "storage_full", "storage_low", "archive_lags"];
    const named = [
      ...[...PLACES, ...SETTINGS_PAGES].map(({ name }) => `nav.${name}`),
      ...SETTINGS_PAGES.map(({ name }) => `settings.${name}`),
      ...ALL_PERMISSIONS.map((name) => `permission.${name}`),
      ...Object.keys(PERMISSIONS).map((name) => `permissionPart.${name}`),
      ...TEMPLATES.map(({ name }) => `template.${name}`),
      ...SPANS.map((name) => `span.${name}`),
      ...STEPS.flatMap((step) => [`setupStep.${step}`, `setupTitle.${step}`, `setupWhy.${step}`]),
      ...CHECKS.flatMap((name) => [`checkName.${name}`, `checkBad.${name}`]),
      ...[
        ...alarms,
        "staff_warning",
        "watch_unusual",
        "auto_export_stopped",
        ...Object.keys(BOX_ALARMS).map((code) => `box_${code}`),
      ].flatMap((code) => [`alarm.${code}`, `alarmCause.${code}`, `alarmRemedy.${code}`]),
    ];
    expect(named.filter((key) => !texts.en.has(key))).toEqual([]);
  });

  it("speak Chinese in Chinese, with Chinese punctuation", () => {
    const plain = new Set(["app.name", "moment.today", "moment.date"]);
    for (const [key, text] of texts.zh) {
      if (plain.has(key)) continue;
      expect(text, key).toMatch(/[\u4e00-\u9fff]/);
      expect(text, key).not.toMatch(/[,?!;]/);
    }
  });

  it("leave no Chinese text in the sources", () => {
    const names = sources.replace('"zh-CN": "中文"', "").replace(/^\s*(\/?\*|\/\/).*$/gm, "");
    expect(names.match(/[\u4e00-\u9fff]+/g) ?? []).toEqual([]);
  });
});
