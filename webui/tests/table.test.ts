import { describe, expect, it } from "vitest";
import { rowReached } from "@/components/table/tableKeys";

describe("the keys of a table", () => {
  const reached = (key: string, at: number) => rowReached(key, at, 10, 25);

  it("go to the next row, the next page and the ends", () => {
    expect(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].map((key) => reached(key, 12))).toEqual([
      13, 11, 22, 2, 0, 24,
    ]);
  });

  it("stay within the table", () => {
    expect([reached("PageUp", 3), reached("ArrowUp", 0), reached("PageDown", 20), reached("ArrowDown", 24)]).toEqual([
      0, 0, 24, 24,
    ]);
  });

  it("leave the others alone", () => {
    expect([reached("Tab", 3), reached("a", 3)]).toEqual([undefined, undefined]);
  });
});
