/** The languages of the UI. Messages are compiled without `eval`, so the strict Content-Security-Policy holds. */

import { useLocalStorage } from "@vueuse/core";
import elementEn from "element-plus/es/locale/lang/en";
import elementZh from "element-plus/es/locale/lang/zh-cn";
import { computed, watch } from "vue";
import { createI18n } from "vue-i18n";
import boxEn from "./locales/box.en.json";
import boxZhCN from "./locales/box.zh-CN.json";
import deskEn from "./locales/desk.en.json";
import deskZhCN from "./locales/desk.zh-CN.json";
import en from "./locales/en.json";
import officeEn from "./locales/office.en.json";
import officeZhCN from "./locales/office.zh-CN.json";
import takeHomeEn from "./locales/take-home.en.json";
import takeHomeZhCN from "./locales/take-home.zh-CN.json";
import zhCN from "./locales/zh-CN.json";

export const LOCALES = ["zh-CN", "en"] as const;
export type Locale = (typeof LOCALES)[number];

const preferred: Locale = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
export const locale = useLocalStorage<Locale>("tapdeck.locale", preferred);
if (!LOCALES.includes(locale.value)) locale.value = preferred;

type Texts = { [key: string]: string | Texts };
/** Keys are plain texts to the type checker, which gives up over so many; the tests know them all. */
const messages: Record<Locale, Texts> = {
  "zh-CN": { ...zhCN, ...officeZhCN, ...deskZhCN, ...boxZhCN, ...takeHomeZhCN },
  en: { ...en, ...officeEn, ...deskEn, ...boxEn, ...takeHomeEn },
};

export const i18n = createI18n({
  legacy: false,
  locale: locale.value,
  fallbackLocale: "en",
  messages,
});

/** Element Plus' own texts in the same language. */
export const elementLocale = computed(() => (locale.value === "en" ? elementEn : elementZh));

watch(
  locale,
  (fresh) => {
    i18n.global.locale.value = fresh;
    document.documentElement.lang = fresh;
  },
  { immediate: true },
);
