import { describe, expect, it } from "vitest";
import { fitHeads } from "@/components/table/headWidths";

const CHARACTER_PX = 8;
const widthOf = (text: string) => text.length * CHARACTER_PX;

describe("the columns of a table", () => {
  it("are as wide as asked, but never narrower than their headings, with room for the sign of the order", () => {
    const names: Record<string, string> = { talk: "Talk time", name: "Name", changed: "Last changed" };
    const columns = [
      { key: "talk", width_px: 64 },
      { key: "name", width_px: 150, grow: 3, sorts: "name" },
      { key: "changed", width_px: 100, sorts: "changed" },
    ];
    const found = fitHeads(columns, (key) => names[key] ?? "", widthOf);
    expect(found.map((one) => one.width_px)).toEqual([90, 150, 134]);
    expect(found[1]).toBe(columns[1]);
  });
});
