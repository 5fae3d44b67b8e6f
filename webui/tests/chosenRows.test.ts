import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type EffectScope, effectScope, nextTick, ref } from "vue";
import { useRecordActions } from "@/stores/recordActions";
import { type Page, useRecordList } from "@/stores/recordList";

vi.mock("@/text/errors", () => ({ errorText: String }));
vi.mock("vue-i18n", () => ({ useI18n: () => ({ t: (key: string) => key }) }));

interface Row {
  id: string;
}
const settle = () => new Promise((resolve) => setTimeout(resolve));
let scope: EffectScope;
let asked: { url: string; body: { ids: string[]; expected: number } }[];
beforeEach(() => {
  setActivePinia(createPinia());
  scope = effectScope();
  asked = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const body = JSON.parse(String(init.body));
    asked.push({ url, body });
    return Response.json({ count: body.ids.length });
  });
});
afterEach(() => {
  scope.stop();
  vi.unstubAllGlobals();
});

/** A list of customers by the first letter of what they are called. */
function open() {
  const letter = ref("a");
  const held: (() => void)[] = [];
  let pages: Record<string, string[]> = { a: ["a1", "a2", "a3"], b: ["b1", "b2"] };
  const read = (): Promise<Page<Row>> => {
    const rows = (pages[letter.value] ?? []).map((id) => ({ id }));
    return new Promise((resolve) => held.push(() => resolve({ rows, next: null })));
  };
  const answer = async () => {
    await settle();
    for (const one of held.splice(0)) one();
    await settle();
  };
  return scope.run(() => {
    const list = useRecordList<Row>(read, () => letter.value);
    const actions = useRecordActions<Row>("customers", list, async () => true);
    return { letter, answer, list, ...actions, become: (fresh: typeof pages) => (pages = fresh) };
  }) as NonNullable<unknown> as {
    letter: { value: string };
    answer: () => Promise<void>;
    list: ReturnType<typeof useRecordList<Row>>;
    become: (fresh: Record<string, string[]>) => void;
  } & ReturnType<typeof useRecordActions<Row>>;
}

describe("chosen rows", () => {
  it("are forgotten with the question they belong to: what is done hits those that are shown", async () => {
    const { letter, answer, selected, ids, move } = open();
    await answer();
    selected.value = new Set(["a1", "a2", "a3"]);
    letter.value = "b";
    await answer();
    expect([ids.value, selected.value.size]).toEqual([[], 0]);
    selected.value = new Set([...selected.value, "b1"]);
    await move("delete", ids.value);
    expect(asked.map(({ body }) => body.ids)).toEqual([["b1"]]);
    letter.value = "a";
    await answer();
    expect(ids.value).toEqual([]);
  });

  it("are none while the rows of an older question are still there", async () => {
    const { letter, answer, list, selected, ids, chosen } = open();
    await answer();
    selected.value = new Set(["a1"]);
    letter.value = "b";
    await nextTick();
    selected.value = new Set(list.rows.map((row) => row.id)); // by a box that was not locked yet
    expect([list.outdated, ids.value, chosen.value]).toEqual([true, [], []]);
    await answer();
    expect([list.outdated, ids.value, selected.value.size]).toEqual([false, [], 0]);
  });

  it("are those still there when the same is read anew", async () => {
    const { answer, list, become, selected, ids } = open();
    await answer();
    selected.value = new Set(["a1", "a3"]);
    become({ a: ["a3", "a4"] });
    void list.reload();
    await answer();
    expect([ids.value, [...selected.value]]).toEqual([["a3"], ["a3"]]);
  });

  it("can be all that the list finds", async () => {
    const { answer, selected, choosing, ids } = open();
    await answer();
    selected.value = new Set(["a1"]);
    await choosing.chooseAll();
    expect([ids.value, choosing.full]).toEqual([["a1", "a2", "a3"], false]);
  });

  it("stay chosen when another row is deleted", async () => {
    const { answer, selected, ids, move } = open();
    await answer();
    selected.value = new Set(["a1", "a2"]);
    await move("delete", ["a2"]);
    await settle();
    expect([ids.value, [...selected.value]]).toEqual([["a1"], ["a1"]]);
  });
});
