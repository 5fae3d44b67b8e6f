import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Practice } from "@/api/practice";
import { useBoardStore } from "@/stores/board";
import { useLiveStore } from "@/stores/live";
import { usePracticeStore } from "@/stores/practice";

const OFF: Practice = { needed: true, until: null, since: null, lines: null, staff_no: null, name: null };
const START_MS = Date.parse("2026-11-23T07:00:00.000Z");
let told: Practice;
let asked: string[];

function on(minutes: number, lines: number): Practice {
  const [since, until] = [Date.now(), Date.now() + minutes * 60_000].map((at) => new Date(at).toISOString());
  return { ...OFF, since: since ?? "", until: until ?? "", lines, staff_no: "1", name: "张伟" };
}

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
  setActivePinia(createPinia());
  told = OFF;
  asked = [];
  vi.stubGlobal("fetch", async (url: string, options: { method: string; body?: string }) => {
    const path = new URL(url, "http://box").pathname.replace("/api/v1", "");
    asked.push(`${options.method} ${path}`);
    if (path === "/channels") return Response.json({ channels: [] });
    if (path === "/cards") return Response.json({ cards: [] });
    if (options.method === "PUT") {
      const { minutes, lines } = JSON.parse(options.body ?? "");
      told = on(minutes, lines);
    }
    if (options.method === "DELETE") {
      told = OFF;
      return new Response(null, { status: 204 });
    }
    return Response.json(told);
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("is over by the clock, and the board is read again without its lines", async () => {
  const practice = usePracticeStore();
  await practice.load();
  expect(practice.until).toBeNull();
  await practice.start(15, 2);
  expect(practice.until).toBe("2026-11-23T07:15:00.000Z");
  told = OFF;
  asked = [];
  await vi.advanceTimersByTimeAsync(15 * 60_000);
  expect(practice.until, "the box is asked, not only the own clock").not.toBeNull();
  await vi.advanceTimersByTimeAsync(3000);
  expect(practice.until).toBeNull();
  expect(asked.sort()).toEqual(["GET /cards", "GET /channels", "GET /practice"]);
});

it("goes on when it was prolonged elsewhere meanwhile", async () => {
  const practice = usePracticeStore();
  await practice.start(15, 2);
  told = { ...told, until: "2026-11-23T08:00:00.000Z" };
  await vi.advanceTimersByTimeAsync(16 * 60_000);
  expect(practice.until).toBe("2026-11-23T08:00:00.000Z");
});

it("ends at once for whoever ends it", async () => {
  const practice = usePracticeStore();
  await practice.start(480, 8);
  await practice.end();
  await vi.advanceTimersByTimeAsync(10);
  expect(practice.until).toBeNull();
  expect(asked).toContain("DELETE /practice");
});

it("keeps what is known while the box is away", async () => {
  const practice = usePracticeStore();
  await practice.start(60, 1);
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("away")));
  await practice.load();
  expect(practice.until).not.toBeNull();
  expect(useBoardStore().failed).toBe(false);
});

it("is seen by everybody as soon as somebody turns it on", async () => {
  const practice = usePracticeStore();
  const live = useLiveStore();
  told = on(30, 2);
  live.take({ type: "office", data: { kind: "practice_changed", at: "", call_id: null, data: {} } });
  await vi.advanceTimersByTimeAsync(10);
  expect(practice.until).toBe("2026-11-23T07:30:00.000Z");
  expect(asked.sort(), "its channels and card too").toEqual(["GET /cards", "GET /channels", "GET /practice"]);
});
