import { afterEach, describe, expect, it, vi } from "vitest";
import { type ListColumn, readLooks, useListView } from "@/stores/listView";

const COLUMNS: ListColumn[] = [
  { key: "name", width_px: 1, first: true, sorts: "name" },
  { key: "company", width_px: 1, first: true },
  { key: "note", width_px: 1 },
];
interface Filter {
  q?: string;
  owner?: string;
}
const KEYS = ["q", "owner"] as const;
const open = () => useListView<Filter>("customers", COLUMNS, KEYS);
afterEach(() => vi.unstubAllGlobals());

describe("the looks of a list", () => {
  it("are read from a saved view, without what is not known here", () => {
    const body = {
      columns: ["note", "gone", "name", "note"],
      sorting: { by: "name", order: "desc" },
      filter: { q: "王", owner: 7, "<img onerror=…>": "x" },
    };
    expect(readLooks<Filter>(body, COLUMNS, KEYS)).toEqual({
      columns: ["note", "name"],
      sorting: { by: "name", order: "desc" },
      filter: { q: "王" },
    });
  });

  it("begin as usual when a view is damaged", () => {
    for (const body of [{}, { columns: "x", sorting: "y", filter: null }, { sorting: { by: "note", order: "asc" } }]) {
      expect(readLooks<Filter>(body, COLUMNS, KEYS)).toEqual({
        columns: ["name", "company"],
        sorting: null,
        filter: {},
      });
    }
  });

  it("let columns come, go and move, and keep at least one", () => {
    const view = open();
    view.toggleColumn("note");
    view.moveColumn("note", -1);
    expect(view.shownColumns.map((column) => column.key)).toEqual(["name", "note", "company"]);
    for (const key of ["name", "note", "company"]) view.toggleColumn(key);
    expect(view.looks.columns).toEqual(["company"]);
    view.moveColumn("company", -1);
    view.resetColumns();
    expect(view.looks.columns).toEqual(["name", "company"]);
  });

  it("sort up, down, and as before", () => {
    const view = open();
    const seen = [1, 2, 3].map(() => {
      view.sortBy("name");
      return view.looks.sorting?.order ?? null;
    });
    expect(seen).toEqual(["asc", "desc", null]);
  });

  it("are saved under a name; the own view of that name is written anew", async () => {
    const stored: { id: number; name: string; owner: string; body: Record<string, unknown> }[] = [];
    const sent: string[] = [];
    vi.stubGlobal("fetch", async (input: string, init: RequestInit) => {
      sent.push(`${init.method} ${input}`);
      const body = init.body ? JSON.parse(String(init.body)) : {};
      if (init.method === "POST") stored.push({ id: 5, owner: "900", ...body });
      if (init.method === "PATCH") Object.assign(stored[0] ?? {}, body);
      return Response.json(init.method === "GET" ? { views: stored } : stored[0]);
    });
    const view = open();
    view.setFilter({ q: "重要" });
    await view.saveView("我的客户", false, "900");
    expect(view.shownView?.name).toBe("我的客户");
    view.setFilter({ q: "李" });
    await view.saveView("我的客户", false, "900");
    expect(stored).toHaveLength(1);
    expect(sent).toContain("PATCH /api/v1/saved-views/5");
    view.clearFilter();
    expect(view.filtered).toBe(false);
    view.showView(view.views[0] as never);
    expect(view.looks.filter).toEqual({ q: "李" });
  });
});
