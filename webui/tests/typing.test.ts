import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, nextTick, ref } from "vue";
import { focusFirst } from "@/components/frame/firstField";
import { type FilterValues, useTypedFilters } from "@/components/table/typedFilters";

describe("the text of filters", () => {
  const scopes: ReturnType<typeof effectScope>[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    for (const scope of scopes.splice(0)) scope.stop();
    vi.useRealTimers();
  });

  function aFilter(first: FilterValues = {}) {
    const filter = ref<FilterValues>(first);
    const told: FilterValues[] = [];
    const scope = effectScope();
    scopes.push(scope);
    const tell = (values: FilterValues) => {
      told.push(values);
      filter.value = { ...filter.value, ...values };
    };
    const typed = scope.run(() => useTypedFilters(() => filter.value, tell)) as ReturnType<typeof useTypedFilters>;
    return { filter, told, ...typed };
  }

  it("is shown while it is typed, and told once", async () => {
    const { told, textOf, type } = aFilter();
    for (const text of ["V", "VI", "VIP "]) {
      type("category", text);
      await nextTick();
      expect(textOf("category")).toBe(text);
      vi.advanceTimersByTime(100);
    }
    expect(told).toEqual([]);
    vi.advanceTimersByTime(250);
    await nextTick();
    expect(told).toEqual([{ category: "VIP" }]);
    expect(textOf("category")).toBe("VIP ");
  });

  it("is not lost when the next field is typed in at once", async () => {
    const { told, textOf, type } = aFilter();
    type("name", "Wang");
    vi.advanceTimersByTime(100);
    type("company", "Acme");
    vi.advanceTimersByTime(150);
    await nextTick();
    expect(told).toEqual([{ name: "Wang" }]);
    expect(textOf("company")).toBe("Acme");
    vi.advanceTimersByTime(100);
    expect(told).toEqual([{ name: "Wang" }, { company: "Acme" }]);
  });

  it("follows a saved view and a dropped chip, and forgets what was not told yet", async () => {
    const { filter, told, textOf, type, forgetAll } = aFilter({ name: "Wang" });
    type("name", "Wang F");
    filter.value = { name: "Li", company: "Acme" };
    await nextTick();
    expect([textOf("name"), textOf("company")]).toEqual(["Li", "Acme"]);
    type("company", "Acme Ltd");
    forgetAll();
    filter.value = {};
    await nextTick();
    expect(textOf("company")).toBe("");
    vi.advanceTimersByTime(1000);
    expect(told).toEqual([]);
  });
});

describe("the cursor of a dialog that has opened", () => {
  afterEach(() => vi.unstubAllGlobals());

  function focusedAfter(tag: string, inside: boolean): boolean {
    const at = { matches: (wanted: string) => wanted.split(", ").includes(tag) };
    const dialog = { contains: (one: unknown) => inside && one === at };
    const focus = vi.fn();
    vi.stubGlobal("document", { activeElement: at });
    focusFirst({ closest: () => dialog, focus } as unknown as HTMLElement);
    return focus.mock.calls.length > 0;
  }

  it("goes to the first field, but not away from one into which somebody types", () => {
    expect(focusedAfter("div", true)).toBe(true);
    expect(focusedAfter("input", false)).toBe(true);
    expect(focusedAfter("input", true)).toBe(false);
    expect(focusedAfter("textarea", true)).toBe(false);
  });
});
