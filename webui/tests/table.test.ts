import { describe, expect, it, vi } from "vitest";
import { createSSRApp, effectScope, h, nextTick, ref } from "vue";
import { renderToString } from "vue/server-renderer";
import { TableHead } from "@/components/table/tableHead";
import { rowReached } from "@/components/table/tableKeys";
import { TABLE_LOOKS, TableRow } from "@/components/table/tableRow";
import { onRows, topFor, useTableScroll } from "@/components/table/tableScroll";

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
  function open(scrollLeft = 300, scrollTop = 440) {
    const states = { scrollLeft, scrollTop };
    const head = { scrollLeft } as Element;
    const grid = { states, scrollTo: vi.fn((to: typeof states) => void Object.assign(states, to)) };
    return {
      states,
      head,
      grid,
      ...useTableScroll(
        () => grid,
        () => head,
      ),
    };
  }

  it("goes only as far as the row is out of view", () => {
    expect([topFor(3, 44, 440, 220), topFor(10, 44, 440, 220), topFor(20, 44, 440, 220)]).toEqual([132, 220, 484]);
    expect([topFor(0, 44, 440, 0), topFor(2, 44, 30, 0)]).toEqual([0, 88]);
  });

  it("does not move sideways when it goes to another row, or to the top", () => {
    const { states, toRow, toTop } = open();
    toRow(25, 44, 440);
    expect(states).toEqual({ scrollLeft: 300, scrollTop: 704 });
    toTop(0);
    expect(states).toEqual({ scrollLeft: 300, scrollTop: 0 });
  });

  it("moves head and rows sideways together, whichever is moved", () => {
    const { states, head, grid, follow, lead } = open(0);
    follow({ scrollLeft: 120 });
    expect(head.scrollLeft).toBe(120);
    states.scrollLeft = 150; // the rows are further on when the head tells of what it was given
    lead();
    expect(grid.scrollTo).not.toHaveBeenCalled();
    head.scrollLeft = 500; // a heading out of view got the focus
    lead();
    expect(states).toEqual({ scrollLeft: 500, scrollTop: 440 });
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
