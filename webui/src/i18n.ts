/** The languages of the UI. Messages are compiled without `eval`, so the strict Content-Security-Policy holds. */

import { useLocalStorage } from "@vueuse/core";
import type { Language } from "element-plus/es/locale";
import { shallowRef, watch } from "vue";
import { createI18n } from "vue-i18n";
import type { Texts } from "./locales/joined";

export const LOCALES = ["zh-CN", "en"] as const;
export type Locale = (typeof LOCALES)[number];

const preferred: Locale = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
export const locale = useLocalStorage<Locale>("tapdeck.locale", preferred);
if (!LOCALES.includes(locale.value)) locale.value = preferred;

const LOADERS: Record<Locale, () => Promise<{ texts: Texts; elementTexts: Language }>> = {
  "zh-CN": () => import("./locales/chinese"),
  en: () => import("./locales/english"),
};

export const i18n = createI18n({ legacy: false, locale: locale.value, messages: {} as Record<Locale, Texts> });

/** Element Plus' own texts in the same language; undefined until they are loaded. */
export const elementLocale = shallowRef<Language>();

async function speak(which: Locale): Promise<void> {
  const { texts, elementTexts } = await LOADERS[which]();
  if (which !== locale.value) return;
  i18n.global.setLocaleMessage(which, texts);
  i18n.global.locale.value = which;
  elementLocale.value = elementTexts;
  document.documentElement.lang = which;
}

/** Settles when the page can speak. */
export const spoken = speak(locale.value);
watch(locale, speak);
