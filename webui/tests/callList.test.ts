import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type EffectScope, effectScope, ref } from "vue";
import type { Call, CallFilter } from "@/api/types";
import { useCallList } from "@/stores/callList";
import { useCallsStore } from "@/stores/calls";
import { useCallTagsStore } from "@/stores/callTags";
import { tellOffice } from "@/stores/officeNews";
import { aCall } from "./samples";

/** A box with these calls, newest first, that answers as the API's GET /calls does. */
function serve(all: Call[]) {
  const asked: URL[] = [];
  vi.stubGlobal("fetch", async (input: string) => {
    const url = new URL(input, "http://box.test");
    if (url.pathname.endsWith("/calls")) asked.push(url);
    const before = url.searchParams.get("before");
    const result = url.searchParams.get("result");
    const limit = Number(url.searchParams.get("limit"));
    const back = url.searchParams.has("backwards");
    const found = all.filter(
      (call) => (!before || (back ? call.id > before : call.id < before)) && (!result || call.result === result),
    );
    if (back) found.reverse();
    const calls = found.slice(0, limit);
    return Response.json({ calls, next: found.length > limit ? calls.at(-1)?.id : null, tags: {}, held: [] });
  });
  return asked;
}

const ended = (id: string, result: "answered" | "missed") => aCall(id, { state: "ended", result });
const scopes: EffectScope[] = [];
beforeEach(() => setActivePinia(createPinia()));
afterEach(() => {
  vi.unstubAllGlobals();
  for (const scope of scopes.splice(0)) scope.stop();
});

/** Lets the answers of the box arrive. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

function open(filter: () => CallFilter) {
  const scope = effectScope();
  scopes.push(scope);
  return scope.run(() => useCallList(filter, 2)) as ReturnType<typeof useCallList>;
}

describe("a list of calls", () => {
  it("is read from its end too, until the pages meet", async () => {
    serve([7, 6, 5, 4, 3, 2, 1].map((at) => ended(`c${at}`, "missed")));
    const list = open(() => ({}));
    const shown = () => list.items.value.map((call) => call.id).join(" ");
    await settle();
    await list.loadMore(true);
    expect([shown(), list.unreadAt.value, list.more.value]).toEqual(["c7 c6 c2 c1", 2, true]);
    useCallsStore().arrive(aCall("c8"));
    await list.loadMore(true);
    expect([shown(), list.unreadAt.value]).toEqual(["c8 c7 c6 c4 c3 c2 c1", 3]);
    tellOffice({ kind: "hold_changed", at: "", call_id: null, data: {} });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([shown(), list.unreadAt.value]).toEqual(["c8 c7 c6 c4 c3 c2 c1", 3]);
    await list.loadMore();
    expect([shown(), list.more.value]).toEqual(["c8 c7 c6 c5 c4 c3 c2 c1", false]);
    await list.reload();
    await list.loadMore(true);
    await list.loadMore(true);
    await list.loadMore(true);
    expect([shown(), list.more.value]).toEqual(["c8 c7 c6 c5 c4 c3 c2 c1", false]);
  });

  it("reads page by page, puts arrivals on top and obeys its filter", async () => {
    const asked = serve([ended("c5", "missed"), ended("c4", "answered"), ended("c3", "missed"), ended("c2", "missed")]);
    const filter = ref<CallFilter>({});
    const list = open(() => filter.value);
    const shown = () => list.items.value.map((call) => call.id);
    await settle();
    expect(shown()).toEqual(["c5", "c4"]);
    expect(list.more.value).toBe(true);
    await list.loadMore();
    expect(shown()).toEqual(["c5", "c4", "c3", "c2"]);
    expect(list.more.value).toBe(false);
    expect(asked.at(-1)?.searchParams.get("before")).toBe("c4");

    const calls = useCallsStore();
    calls.arrive(aCall("c6"));
    expect(shown()).toEqual(["c6", "c5", "c4", "c3", "c2"]);

    filter.value = { result: "missed" };
    await settle();
    expect(shown()).toEqual(["c5", "c3"]);
    calls.arrive(ended("c6", "missed"));
    expect(shown()).toEqual(["c6", "c5", "c3"]);
  });

  it("shows no gap between the pages read and what arrives", async () => {
    const calls = useCallsStore();
    const all = ["c5", "c4", "c3", "c2", "c1"].map((id) => ended(id, "answered"));
    for (const call of [...all].reverse()) calls.arrive(call);
    serve(all);
    const list = open(() => ({}));
    const shown = () => list.items.value.map((call) => call.id);
    await settle();
    expect(shown()).toEqual(["c5", "c4"]); // c3 comes with the next page, else reaching the end would add nothing
    await list.loadMore();
    expect(shown()).toEqual(["c5", "c4", "c3", "c2"]);
  });

  it("is read anew when so much arrived that the oldest arrivals are dropped", async () => {
    const id = (index: number) => `c${String(index).padStart(4, "0")}`;
    const all = [ended(id(0), "answered")];
    serve(all);
    const list = open(() => ({}));
    await settle();
    const calls = useCallsStore();
    for (let index = 1; index <= 600; index += 1) {
      all.unshift(ended(id(index), "answered"));
      calls.arrive(all[0] as Call);
    }
    await settle();
    const shown = list.items.value.map((call) => call.id);
    expect(shown).toEqual(all.slice(0, shown.length).map((call) => call.id));
    expect(list.more.value).toBe(true);
  });

  it("says that it failed, and recovers", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("refused");
    });
    useCallsStore().arrive(aCall("c9"));
    const list = open(() => ({}));
    await settle();
    expect([list.failed.value, list.loading.value, list.items.value.length]).toEqual([true, false, 0]);
    serve([ended("c1", "missed")]);
    await list.reload();
    expect([list.failed.value, list.items.value.length]).toEqual([false, 2]);
  });

  it("shows nothing of an older question where the box is away", async () => {
    serve([ended("c3", "missed"), ended("c2", "answered"), ended("c1", "missed")]);
    const filter = ref<CallFilter>({});
    const list = open(() => filter.value);
    await settle();
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("refused");
    });
    await list.reload();
    expect([list.items.value.length, list.outdated.value]).toEqual([2, false]); // the same question: it stays
    filter.value = { result: "missed" };
    await settle();
    expect([list.items.value.length, list.more.value, list.failed.value]).toEqual([0, false, true]);
  });

  it("asks again for what has failed", async () => {
    const all = [ended("c3", "missed"), ended("c2", "answered"), ended("c1", "missed")];
    serve(all);
    const list = open(() => ({}));
    await settle();
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("refused");
    });
    await list.reload();
    all.unshift(ended("c4", "missed"));
    serve(all);
    await list.loadMore();
    expect(list.items.value.map((call) => call.id)).toEqual(["c4", "c3"]);
  });

  it("recovers by itself as soon as a call arrives", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("refused");
    });
    const list = open(() => ({}));
    await settle();
    const all = [ended("c2", "missed"), ended("c1", "missed")];
    serve(all);
    useCallsStore().arrive(all[0] as Call);
    await settle();
    await settle();
    expect([list.failed.value, list.items.value.length]).toEqual([false, 2]);
  });

  describe("whose calls are tagged", () => {
    const tagged = (call_id: string | null) => tellOffice({ kind: "call_tags_changed", at: "", call_id, data: {} });
    /** So long that what was gathered has been read. */
    const gathered = () => vi.advanceTimersByTimeAsync(600);
    const some = (count: number) =>
      Array.from({ length: count }, (_, n) => ended(`c${String(count - n).padStart(3, "0")}`, "missed"));
    beforeEach(() => vi.useFakeTimers());
    afterEach(() => vi.useRealTimers());

    it("is read once for all of them, and nobody loses the place", async () => {
      const all = some(9);
      const asked = serve(all);
      const list = open(() => ({ tag: "VIP" }));
      await gathered();
      await list.loadMore();
      await list.loadMore();
      const shown = () => list.items.value.map((call) => call.id);
      const place = shown();
      expect(place).toEqual(["c009", "c008", "c007", "c006", "c005", "c004"]);
      asked.length = 0;
      for (let n = 0; n < 200; n += 1) tagged(`c${n}`);
      tagged(null);
      await vi.advanceTimersByTimeAsync(100);
      expect([asked.length, list.loading.value, shown()]).toEqual([0, false, place]);
      await gathered();
      expect(asked.map((url) => [url.searchParams.get("limit"), url.searchParams.get("before")])).toEqual([
        ["6", null],
      ]);
      expect(shown()).toEqual(place);
      await list.loadMore();
      expect(asked.at(-1)?.searchParams.get("before")).toBe("c004");
      expect(shown().slice(-2)).toEqual(["c003", "c002"]);
    });

    it("shows who has the tag now, as far down as before", async () => {
      const all = some(6);
      serve(all);
      const list = open(() => ({ tag: "VIP" }));
      await gathered();
      await list.loadMore();
      all.splice(1, 1); // c005 has it no more; c007, c008, c009 have it now
      all.unshift(...some(9).slice(0, 3));
      tagged("c005");
      await gathered();
      expect(list.items.value.map((call) => call.id)).toEqual(["c009", "c008", "c007", "c006", "c004", "c003"]);
      expect(list.more.value).toBe(true);
    });

    it("brings new tags into any list, and none when the list is gone", async () => {
      const asked = serve(some(3));
      const list = open(() => ({}));
      await gathered();
      const call = list.items.value[0] as Call;
      vi.stubGlobal("fetch", async () =>
        Response.json({ calls: [call], next: null, tags: { [call.id]: ["VIP"] }, held: [] }),
      );
      tagged("c001"); // one call without a filter by tag: its tags are read where they are shown
      tagged(null);
      await gathered();
      expect(useCallTagsStore().of(call.id)).toEqual(["VIP"]);
      serve(some(3));
      asked.length = 0;
      tagged(null);
      for (const scope of scopes.splice(0)) scope.stop();
      await gathered();
      expect(asked).toEqual([]);
    });

    it("waits for the page that is being read, and keeps what it has while the box is away", async () => {
      const all = some(6);
      serve(all);
      const list = open(() => ({ tag: "VIP" }));
      await gathered();
      const shown = () => list.items.value.map((call) => call.id);
      let answer: ((all: Call[]) => void) | undefined;
      vi.stubGlobal(
        "fetch",
        () =>
          new Promise<Response>((resolve) => {
            answer = (calls) => resolve(Response.json({ calls, next: calls.at(-1)?.id ?? null, tags: {}, held: [] }));
          }),
      );
      tagged("c006");
      await gathered();
      const slow = answer;
      const more = list.loadMore(); // somebody scrolls while the list is read again
      slow?.(all.slice(0, 2));
      await vi.advanceTimersByTimeAsync(0);
      answer?.(all.slice(2, 4));
      await more;
      expect(shown()).toEqual(["c006", "c005", "c004", "c003"]);
      vi.stubGlobal("fetch", async () => {
        throw new TypeError("refused");
      });
      await gathered();
      expect([shown().length, list.failed.value]).toEqual([4, false]);
      const asked = serve(all);
      tagged("c006");
      await gathered();
      expect(asked.length).toBe(1);
    });
  });
});
