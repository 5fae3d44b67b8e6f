import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { effectScope } from "vue";
import type { Backups, BackupTry } from "@/api/backups";
import { useBackups } from "@/stores/backups";
import { placeOf } from "@/text/backupPlace";

const aTry = (change: Partial<BackupTry>): BackupTry => ({
  id: 7,
  at: "2026-11-23T00:00:00.000Z",
  by: "1001",
  state: "running",
  phase: "packing",
  done: 1,
  all: 4,
  held: "",
  error_code: null,
  error: null,
  ...change,
});

let answer: Backups;
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answer = { passphrase_at: null, place: "", next_at: null, last_try: null, backups: [] };
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    asked.push(`${init.method} ${url.replace("/api/v1", "")} ${init.body ?? ""}`.trim());
    return Response.json(init.method === "POST" ? { id: 7, state: "waiting", done_rows: 0 } : answer);
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a backup that is being made is asked for often, and no more once somebody left", async () => {
  const scope = effectScope();
  const room = scope.run(useBackups);
  if (!room) throw new Error("no scope");
  answer.last_try = aTry({});
  await room.start("stick-1", true);
  expect(asked).toEqual(['POST /backups {"medium":"stick-1","recordings":true}', "GET /backups"]);
  expect([room.running.value?.id, room.part.value]).toEqual([7, 0.25]);
  await vi.advanceTimersByTimeAsync(1_600);
  expect(asked.length).toBe(3);
  answer.last_try = aTry({ state: "done", phase: "" });
  await vi.advanceTimersByTimeAsync(1_600);
  expect([asked.length, room.running.value]).toEqual([4, null]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(asked.length).toBe(4);
  scope.stop();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(asked.length).toBe(4);
});

test("places have the names that people know", () => {
  const name = (id: string) => (id === "8c6f" ? "经理的U盘" : id);
  expect(placeOf("", name)).toEqual({ kind: "none", name: "" });
  expect(placeOf("usb:8c6f", name)).toEqual({ kind: "stick", name: "经理的U盘" });
  expect(placeOf("file:///mnt/%E5%A4%87%E4%BB%BD?mount=1", name)).toEqual({ kind: "disk", name: "/mnt/备份" });
  expect(placeOf("file:///mnt/100%", name)).toEqual({ kind: "disk", name: "/mnt/100%" });
  expect(placeOf("sftp://box@nas:22/backups", name)).toEqual({ kind: "server", name: "box@nas:22/backups" });
  expect(placeOf("s3://bucket/box?endpoint=https://s3.example.com", name)).toEqual({
    kind: "cloud",
    name: "bucket/box",
  });
});
