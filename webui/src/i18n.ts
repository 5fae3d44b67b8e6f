/** The languages of the UI. Messages are compiled without `eval`, so the strict Content-Security-Policy holds. */

import { useLocalStorage } from "@vueuse/core";
import type { Language } from "element-plus/es/locale";
import { computed, shallowRef, watch } from "vue";
import { createI18n } from "vue-i18n";
import type { Texts } from "./locales/joined";
import { showPageChanged } from "./pageChanged";

export const LOCALES = ["zh-CN", "en"] as const;
export type Locale = (typeof LOCALES)[number];

const preferred: Locale = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";
const remembered = useLocalStorage<Locale>("tapdeck.locale", preferred);
if (!LOCALES.includes(remembered.value)) remembered.value = preferred;

const LOADERS: Record<Locale, () => Promise<{ texts: Texts; elementTexts: Language }>> = {
  "zh-CN": () => import("./locales/chinese"),
  en: () => import("./locales/english"),
};

export const i18n = createI18n({ legacy: false, locale: remembered.value, messages: {} as Record<Locale, Texts> });

/** Element Plus' own texts in the same language; undefined until they are loaded. */
export const elementLocale = shallowRef<Language>();

let wanted: Locale = remembered.value;

async function speak(which: Locale): Promise<void> {
  wanted = which;
  const { texts, elementTexts } = await LOADERS[which]();
  if (which !== wanted) return;
  i18n.global.setLocaleMessage(which, texts);
  i18n.global.locale.value = which;
  elementLocale.value = elementTexts;
  document.documentElement.lang = which;
  remembered.value = which;
}

/** The language that is spoken. Another one is spoken, and remembered, once its texts are there. */
export const locale = computed<Locale>({
  get: () => i18n.global.locale.value,
  set: (which) => void speak(which).catch(showPageChanged),
});

/** Settles when the page can speak. */
export const spoken = speak(remembered.value);
/** Another tab has changed it. */
watch(remembered, (which) => {
  if (which !== locale.value && LOCALES.includes(which)) locale.value = which;
});
