import { describe, expect, it } from "vitest";
import { closedBy } from "@/components/frame/escape";

/** An element within `around`, or in none of them; `elsewhere`: where somebody types, or a question. */
const element = (around?: object, elsewhere = false) => ({ around, closest: () => (elsewhere ? {} : null) });
const press = (target: object, change = {}) =>
  ({ key: "Escape", defaultPrevented: false, isComposing: false, target, ...change }) as never;
const drawer = (name: string) => {
  const one = { name, root: () => ({ contains: (target: { around?: object }) => target.around === one }) as never };
  return one;
};

describe("Escape", () => {
  const customer = drawer("customer");
  const timeline = drawer("timeline");
  const open = [customer, timeline];

  it("closes what the cursor is in, else what was opened last", () => {
    expect(closedBy(press(element(customer, true)), open)).toBe(customer);
    expect(closedBy(press(element()), open)).toBe(timeline);
    expect(closedBy(press(element()), [])).toBeUndefined();
  });

  it("is left to who types elsewhere, composes Chinese, or has used it already", () => {
    expect(closedBy(press(element(undefined, true)), open)).toBeUndefined();
    for (const change of [{ isComposing: true }, { defaultPrevented: true }, { key: "Enter" }])
      expect(closedBy(press(element(customer), change), open)).toBeUndefined();
  });
});
