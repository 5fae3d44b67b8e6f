import { afterEach, describe, expect, it, vi } from "vitest";
import { type EffectScope, effectScope, nextTick, reactive } from "vue";
import { correctNumbers } from "@/api/numberCorrections";
import type { Setting } from "@/api/officeTypes";
import { onSiteChange } from "@/stores/siteChange";

const scopes: EffectScope[] = [];
afterEach(() => {
  vi.unstubAllGlobals();
  for (const scope of scopes.splice(0)) scope.stop();
});

function followed() {
  const form = reactive({ loading: true, settings: new Map<string, Setting>() });
  const changed = vi.fn();
  const scope = effectScope();
  scopes.push(scope);
  scope.run(() => onSiteChange(form, changed));
  /** As a form takes over what the box answers: everything is gone for a moment. */
  const take = async (values: Record<string, string>) => {
    form.settings.clear();
    for (const [key, value] of Object.entries(values)) form.settings.set(key, { key, value } as Setting);
    await nextTick();
  };
  return { form, changed, take };
}

const BEIJING = { site_country: "CN", site_area_code: "010", outside_line_prefix: "", language: "zh-CN" };

describe("a change of what numbers are read by", () => {
  it("is told once it is saved, not when settings are read at first", async () => {
    const { form, changed, take } = followed();
    await take(BEIJING);
    form.loading = false;
    await nextTick();
    await take({ ...BEIJING, language: "en" });
    expect(changed).not.toHaveBeenCalled();
    await take({ ...BEIJING, site_area_code: "021" });
    expect(changed).toHaveBeenCalledTimes(1);
    await take({ ...BEIJING, site_area_code: "021", outside_line_prefix: "9" });
    expect(changed).toHaveBeenCalledTimes(2);
    form.loading = true; // read again
    await take({ ...BEIJING, site_area_code: "021", outside_line_prefix: "9" });
    form.loading = false;
    await nextTick();
    expect(changed).toHaveBeenCalledTimes(2);
  });

  it("is corrected from a moment on, told in UTC", async () => {
    const sent: [string, string][] = [];
    vi.stubGlobal("fetch", async (url: string, how: RequestInit) => {
      sent.push([url, String(how.body)]);
      return Response.json({ number_corrections: [], done: false });
    });
    expect((await correctNumbers(new Date("2026-05-01T08:00:00+08:00"))).done).toBe(false);
    expect(sent).toEqual([["/api/v1/number-corrections", JSON.stringify({ wrong_since: "2026-05-01T00:00:00.000Z" })]]);
  });
});
