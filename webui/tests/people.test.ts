/** Names beside staff numbers: asked for together, once, and again when that failed. */

import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { usePeopleStore } from "@/stores/people";
import { useSessionStore } from "@/stores/session";

let asked: string[];
let away: boolean;
beforeEach(() => {
  vi.useFakeTimers();
  setActivePinia(createPinia());
  asked = [];
  away = false;
  vi.stubGlobal("fetch", async (url: string) => {
    asked.push(decodeURIComponent(url.split("staff_no=")[1] ?? ""));
    if (away) throw new TypeError("away");
    return Response.json({ names: { "3001": "王芳" } });
  });
  const operator = { staff_no: "1000", name: "林总", level: "super" as const, group: 1, channels: [], permissions: [] };
  useSessionStore().take({ operator, must_change_password: false, csrf: "t", time_zone: "" });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
const later = () => vi.advanceTimersByTimeAsync(50);

test("many rows ask once, for what no answer told", async () => {
  const people = usePeopleStore();
  expect([people.who("1000"), people.who("3002", "周晓燕"), people.who(null), people.who("")]).toEqual([
    "林总 1000",
    "周晓燕 3002",
    "",
    "",
  ]);
  expect([people.who("3001"), people.who("3001"), people.who("nobody"), people.who("not a number")]).toEqual([
    "3001",
    "3001",
    "nobody",
    "not a number",
  ]);
  await later();
  expect(asked).toEqual(["3001,nobody"]);
  expect([people.who("3001"), people.who("nobody")]).toEqual(["王芳 3001", "nobody"]);
  await later();
  expect(asked).toHaveLength(1);
});

test("a box that was away is asked again", async () => {
  const people = usePeopleStore();
  away = true;
  people.who("3001");
  await later();
  away = false;
  expect(people.who("3001")).toBe("3001");
  await later();
  expect(people.who("3001")).toBe("王芳 3001");
});
