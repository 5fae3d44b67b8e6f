import { describe, expect, it, vi } from "vitest";
import { createSSRApp, effectScope, h, nextTick, ref } from "vue";
import { renderToString } from "vue/server-renderer";
import { TableHead } from "@/components/table/tableHead";
import { rowReached } from "@/components/table/tableKeys";
import { TABLE_LOOKS, TableRow } from "@/components/table/tableRow";
import { movedBy, onRows, topFor, useElements } from "@/components/table/tableScroll";
import { besideUnread, nearUnread, withUnread } from "@/components/table/unreadRows";

vi.mock("element-plus/es/components/base/style/css", () => ({}));
vi.mock("element-plus/es/components/icon/style/css", () => ({}));
vi.mock("vue-i18n", () => ({ useI18n: () => ({ t: (key: string) => key }) }));

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

describe("the scrolling of a table", () => {
  it("goes only as far as the row is out of view", () => {
    expect([topFor(3, 44, 440, 220), topFor(10, 44, 440, 220), topFor(20, 44, 440, 220)]).toEqual([132, 220, 484]);
    expect([topFor(0, 44, 440, 0), topFor(2, 44, 30, 0)]).toEqual([0, 88]);
  });

  const rows = (...ids: number[]) => ids.map((id) => ({ id }));

  it("stays with the rows in view when others come before them", () => {
    expect(movedBy(1, rows(3, 4, 5), rows(1, 2, 3, 4, 5))).toBe(2);
    expect(movedBy(1, rows(3, 4, 5), rows(3, 4, 5, 6, 7))).toBe(0);
    expect(movedBy(0, [], rows(1, 2))).toBe(0);
  });

  it("stays with the rows from the end when those before them have been read", () => {
    const before = withUnread(rows(1, 9), 1);
    const now = withUnread(rows(1, 7, 8, 9), 1);
    expect([movedBy(13, before, now, true), movedBy(4, before, now, true), movedBy(4, before, now)]).toEqual([2, 2, 0]);
    const further = withUnread(rows(1, 2, 3, 9), 3);
    expect([movedBy(0, before, further), movedBy(4, before, further)]).toEqual([0, 0]);
  });

  it("gives the elements of rows that went out of view to those that came in", () => {
    const elements = useElements();
    expect(elements(rows(1, 2, 3))).toEqual([0, 1, 2]);
    expect(elements(rows(2, 3, 4))).toEqual([1, 2, 0]);
    expect(elements(rows(3, 2, 5, 6))).toEqual([2, 1, 0, 3]);
  });

  it("begins anew with the answer to another question, not with what arrives", async () => {
    const [count, outdated, told] = [ref(200), ref(false), [] as boolean[]];
    const scope = effectScope();
    scope.run(() =>
      onRows(
        () => count.value,
        () => outdated.value,
        (anew) => told.push(anew),
      ),
    );
    count.value = 201;
    await nextTick();
    outdated.value = true;
    await nextTick();
    [count.value, outdated.value] = [7, false];
    await nextTick();
    expect(told).toEqual([false, false, true]);
    scope.stop();
  });
});

describe("rows that nobody has read yet", () => {
  const AT = 100;

  it("stand behind those that were read, or between them", () => {
    const rows = [{ id: 1 }, { id: 2 }];
    const where = (at: number) => withUnread(rows, at).flatMap((row, index) => ("awaited" in row ? [] : [index]));
    expect([where(2), where(1)]).toEqual([
      [0, 1],
      [0, 13],
    ]);
  });

  it("are asked for by who comes near, from either side", () => {
    const near = (first: number, last: number, count = 300) => nearUnread(first, last, AT, count);
    expect([near(0, 20), near(50, 70), near(95, 115), near(120, 140), near(200, 220)]).toEqual([
      undefined,
      "on",
      "on",
      "back",
      undefined,
    ]);
    expect([near(0, 20, AT), near(80, 111, AT), near(101, 111, AT)]).toEqual([undefined, "on", "on"]);
  });

  it("are no place to go to", () => {
    expect([besideUnread(99, 100, AT), besideUnread(112, 111, AT), besideUnread(5, 250, AT)]).toEqual([99, 112, 250]);
  });
});

describe("the boxes of a table", () => {
  async function drawn(locked: boolean) {
    const looks = {
      slots: {},
      columns: () => [],
      selectable: () => true,
      isChosen: () => true,
      isLocked: () => locked,
      choose: () => undefined,
      chooses: () => "choose",
      marks: () => ({}),
    };
    const head = h(TableHead, { columns: [], titles: "calls", selectable: true, allChosen: true, locked });
    const app = createSSRApp(() => [head, h(TableRow, { row: { id: "1" }, index: 0 })]);
    app.provide(TABLE_LOOKS, looks);
    return (await renderToString(app)).match(/<input[^>]*>/g) ?? [];
  }

  it("are locked while the rows are not what is wanted", async () => {
    const disabled = (boxes: string[]) => boxes.map((box) => / disabled/.test(box));
    expect([disabled(await drawn(false)), disabled(await drawn(true))]).toEqual([
      [false, false],
      [true, true],
    ]);
  });
});
