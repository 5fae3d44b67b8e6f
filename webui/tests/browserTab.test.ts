/** What stays in a browser's tab, and what happens when a part of the page cannot be loaded. */

import { createPinia, setActivePinia } from "pinia";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, nextTick } from "vue";

const page = vi.hoisted(() => {
  const storage = () => {
    const items = new Map<string, string>();
    return {
      items,
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => void items.set(key, value),
      removeItem: (key: string) => void items.delete(key),
    };
  };
  const notice = { hidden: true };
  const document = Object.assign(new EventTarget(), {
    documentElement: { lang: "" },
    createElement: () => ({}),
    getElementById: (id: string) => (id === "page-changed" ? notice : null),
    querySelectorAll: () => [],
  });
  const localStorage = storage();
  const sessionStorage = storage();
  const window = Object.assign(new EventTarget(), { localStorage, sessionStorage, document, setTimeout });
  Object.assign(globalThis, { window, document, Storage: class {} });
  Object.defineProperty(globalThis, "navigator", { value: { language: "en-GB", userAgent: "" }, configurable: true });
  return { notice, document, localStorage, sessionStorage };
});

vi.mock("@/locales/english", () => ({ texts: { app: {} }, elementTexts: { name: "en" } }));
vi.mock("@/locales/chinese", () => {
  throw new TypeError("Failed to fetch dynamically imported module");
});

import { i18n, locale, spoken } from "@/i18n";
import { useSessionStore } from "@/stores/session";
import { useTakeHome } from "@/stores/takeHome";

describe("a language whose texts cannot be loaded", () => {
  it("is told, and neither shown as chosen nor remembered", async () => {
    await spoken;
    expect([i18n.global.locale.value, page.document.documentElement.lang]).toEqual(["en", "en"]);
    expect(page.notice.hidden).toBe(true);
    locale.value = "zh-CN";
    await vi.waitFor(() => expect(page.notice.hidden).toBe(false));
    await nextTick();
    expect(locale.value).toBe("en");
    expect(page.localStorage.items.get("tapdeck.locale")).not.toBe("zh-CN");
  });
});

describe("what is typed for a case package", () => {
  beforeEach(() => setActivePinia(createPinia()));

  function openedBy(staff_no: string) {
    const operator = { staff_no, name: "", level: "super" as const, group: 1, channels: [], permissions: [] };
    useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
    const given = () => ({ filter: {}, chosen: [], language: "en" as const });
    const scope = effectScope();
    const { kept } = scope.run(() => useTakeHome(() => false, given)) as ReturnType<typeof useTakeHome>;
    return { kept, scope };
  }

  it("is there again for its author, and for nobody else", async () => {
    const first = openedBy("1001");
    first.kept.value = { title: "dispute", reason: "court" };
    await nextTick();
    first.scope.stop();
    expect(openedBy("1002").kept.value).toEqual({ title: "", reason: "" });
    expect(openedBy("1001").kept.value).toEqual({ title: "dispute", reason: "court" });
  });
});
