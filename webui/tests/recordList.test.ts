import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EffectScope, effectScope, ref } from "vue";
import { type Page, useRecordList } from "@/stores/recordList";

interface Row {
  id: string;
  text?: string;
}
const scopes: EffectScope[] = [];
beforeEach(() => setActivePinia(createPinia()));
afterEach(() => {
  for (const scope of scopes.splice(0)) scope.stop();
});
const settle = () => new Promise((resolve) => setTimeout(resolve));

function open(
  read: (after: string | undefined, unwanted: AbortSignal) => Promise<Page<Row>>,
  wanted: () => unknown = () => null,
  readBack?: (after: string | undefined) => Promise<Page<Row>>,
) {
  const scope = effectScope();
  scopes.push(scope);
  return scope.run(() => useRecordList<Row>(read, wanted, readBack)) as ReturnType<typeof useRecordList<Row>>;
}
const ids = (list: { rows: Row[] }) => list.rows.map((row) => row.id);

describe("a list of records", () => {
  it("reads page by page", async () => {
    const list = open(async (after) =>
      after ? { rows: [{ id: "1" }], next: null } : { rows: [{ id: "2" }], next: "2" },
    );
    await settle();
    expect(ids(list)).toEqual(["2"]);
    await list.loadMore();
    expect([ids(list), list.next]).toEqual([["2", "1"], null]);
    await list.loadMore();
    expect(ids(list)).toEqual(["2", "1"]);
  });

  /** Seven rows, two on a page, from either end. */
  function openSeven() {
    const all = Array.from({ length: 7 }, (_, index) => ({ id: String(index) }));
    const reader = (rows: Row[]) => async (after: string | undefined) => {
      const from = Number(after ?? 0);
      return { rows: rows.slice(from, from + 2), next: from + 2 < rows.length ? String(from + 2) : null };
    };
    return open(reader(all), () => null, reader([...all].reverse()));
  }

  it("can be read from its end too, until the pages meet", async () => {
    const list = openSeven();
    await settle();
    await list.loadMore(true);
    expect([ids(list), list.unreadAt, list.next]).toEqual([["0", "1", "5", "6"], 2, "2"]);
    await list.loadMore(true);
    expect([ids(list), list.unreadAt]).toEqual([["0", "1", "3", "4", "5", "6"], 2]);
    await list.loadMore();
    expect([ids(list), list.next]).toEqual([["0", "1", "2", "3", "4", "5", "6"], null]);
  });

  it("is whole when the pages from the end reach those from the beginning", async () => {
    const list = openSeven();
    await settle();
    for (let page = 0; page < 3; page += 1) await list.loadMore(true);
    expect([ids(list), list.next]).toEqual([["0", "1", "2", "3", "4", "5", "6"], null]);
    list.drop(["6", "0"]);
    list.put({ id: "5", text: "new" });
    expect(list.rows.at(-1)).toEqual({ id: "5", text: "new" });
    await list.reload();
    expect(ids(list)).toEqual(["0", "1"]);
  });

  it("does not take a row that has moved for the other end", async () => {
    let all = ["0", "1", "2", "3", "4", "5", "6"].map((id) => ({ id }));
    const reader = (order: () => Row[]) => async (after: string | undefined) => {
      const from = after ? order().findIndex((row) => row.id === after) : 0;
      return { rows: order().slice(from, from + 2), next: order()[from + 2]?.id ?? null };
    };
    const list = open(
      reader(() => all),
      () => null,
      reader(() => [...all].reverse()),
    );
    await settle();
    await list.loadMore(true);
    all = ["0", "1", "2", "6", "3", "4", "5"].map((id) => ({ id }));
    list.put({ id: "6", text: "changed" });
    await list.loadMore();
    expect([ids(list), list.next]).toEqual([["0", "1", "2", "6", "5"], "3"]);
    await list.loadMore();
    await list.loadMore();
    expect([ids(list), list.next]).toEqual([["0", "1", "2", "6", "3", "4", "5"], null]);
  });

  it("waits with its end until another question is answered", async () => {
    const wanted = ref(1);
    let asked = 0;
    let answer = () => undefined as unknown;
    const list = open(
      async () => {
        if (wanted.value === 2) await new Promise((resolve) => (answer = () => resolve(null)));
        return { rows: [{ id: `of ${wanted.value}` }], next: "more" };
      },
      () => wanted.value,
      async () => {
        asked += 1;
        return { rows: [{ id: "last" }], next: "more" };
      },
    );
    await settle();
    wanted.value = 2;
    await settle();
    await list.loadMore(true);
    answer();
    await settle();
    expect([asked, list.outdated, ids(list)]).toEqual([0, false, ["of 2"]]);
  });

  it("shows the end although the next page is being asked for", async () => {
    const list = openSeven();
    await settle();
    await Promise.all([list.loadMore(), list.loadMore(true)]);
    expect([ids(list), list.loading]).toEqual([["0", "1", "5", "6"], false]);
  });

  it("goes on by itself where a search for something rare answers with an empty page", async () => {
    const list = open(async (after) => (after ? { rows: [{ id: "9" }], next: null } : { rows: [], next: "x" }));
    await settle();
    expect([ids(list), list.loading]).toEqual([["9"], false]);
  });

  it("shows the answer to the last question, whichever comes last", async () => {
    const wanted = ref("slow");
    const answers = new Map<string, (page: Page<Row>) => void>();
    const list = open(
      () => new Promise((resolve) => answers.set(wanted.value, resolve)),
      () => wanted.value,
    );
    wanted.value = "fast";
    await settle();
    answers.get("fast")?.({ rows: [{ id: "fast" }], next: null });
    await settle();
    answers.get("slow")?.({ rows: [{ id: "slow" }], next: null });
    await settle();
    expect(ids(list)).toEqual(["fast"]);
  });

  it("calls off a question whose answer nobody waits for any more", async () => {
    const wanted = ref(1);
    const asked: AbortSignal[] = [];
    open(
      (_, unwanted) => {
        asked.push(unwanted);
        return new Promise(() => undefined);
      },
      () => wanted.value,
    );
    wanted.value = 2;
    await settle();
    expect(asked.map((signal) => signal.aborted)).toEqual([true, false]);
    scopes[0]?.stop();
    expect(asked.map((signal) => signal.aborted)).toEqual([true, true]);
  });

  it("says what went wrong, and recovers", async () => {
    let away = true;
    const list = open(async () => {
      if (away) throw new Error("away");
      return { rows: [{ id: "1" }], next: null };
    });
    await settle();
    expect([list.problem instanceof Error, ids(list)]).toEqual([true, []]);
    away = false;
    await list.reload();
    expect([list.problem, ids(list)]).toEqual([null, ["1"]]);
  });

  it("knows no further page of a question that has failed", async () => {
    let away = false;
    const asked: (string | undefined)[] = [];
    const list = open(async (after) => {
      asked.push(after);
      if (away) throw new Error("away");
      return { rows: [{ id: "1" }], next: "1" };
    });
    await settle();
    away = true;
    await list.reload();
    expect([ids(list), list.next]).toEqual([[], null]);
    await list.loadMore();
    expect(asked).toEqual([undefined, undefined]);
  });

  it("says that a further page has failed, keeps the rows, and asks for that page again", async () => {
    let away = true;
    const list = open(async (after) => {
      if (after && away) throw new Error("away");
      return after ? { rows: [{ id: "1" }], next: null } : { rows: [{ id: "2" }], next: "2" };
    });
    await settle();
    await list.loadMore();
    expect([ids(list), list.next, list.problem instanceof Error]).toEqual([["2"], "2", true]);
    away = false;
    await list.loadMore();
    expect([ids(list), list.next, list.problem]).toEqual([["2", "1"], null, null]);
  });

  it("is outdated from another question on until its first page, and never by reading the same anew", async () => {
    const wanted = ref(1);
    const answers: (() => void)[] = [];
    const list = open(
      () => new Promise((resolve) => answers.push(() => resolve({ rows: [{ id: "1" }], next: null }))),
      () => wanted.value,
    );
    answers[0]?.();
    await settle();
    void list.reload();
    expect(list.outdated).toBe(false);
    answers[1]?.();
    wanted.value = 2;
    await settle();
    wanted.value = 3;
    await settle();
    answers[2]?.();
    await settle();
    expect(list.outdated).toBe(true);
    answers[3]?.();
    await settle();
    expect(list.outdated).toBe(false);
  });

  it("puts a new row on top, a known one in its place, and drops others", async () => {
    const list = open(async () => ({ rows: [{ id: "2" }, { id: "1" }], next: null }));
    await settle();
    list.put({ id: "1", text: "changed" });
    list.put({ id: "3" });
    list.drop(["2"]);
    expect(list.rows).toEqual([{ id: "3" }, { id: "1", text: "changed" }]);
  });
});
