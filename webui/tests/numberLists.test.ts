import { describe, expect, it } from "vitest";
import { listWith, missingIn } from "@/text/numberLists";

describe("number lists", () => {
  it("adds what is not there yet, however the list is separated", () => {
    const list = "138 1234 5678，95588; 110 120、400*\n";
    expect(missingIn(list, ["13812345678", "95588", "110", "120", "400*", "13900001111"])).toEqual(["13900001111"]);
    expect(listWith(list, ["95588", "13900001111", "119"])).toBe("138 1234 5678，95588; 110 120、400*,13900001111,119");
  });

  it("begins an empty list, and leaves one as it is to which nothing is added", () => {
    expect(listWith("", ["95588", "110"])).toBe("95588,110");
    expect(listWith(" ,\n", ["95588"])).toBe("95588");
    expect(listWith("95588", ["95588"])).toBe("95588");
  });
});
