import { beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope } from "vue";
import { ApiError } from "@/api/http";
import type { RestoreInfo, RestoreProgress } from "@/api/restore";
import { useRestore } from "@/stores/restore";
import { folderAddress, forgetRestored, keepRestored, readRestored } from "@/text/restored";

const api = vi.hoisted(() => ({ readRestore: vi.fn(), leaveRestore: vi.fn() }));
vi.mock("@/api/restore", () => api);

const PROGRESS: RestoreProgress = {
  state: "preparing",
  phase: "unpacking",
  done: 25,
  all: 100,
  name: "tapdeck-x.tapdeck",
  made_at: "2026-11-22T02:00:00.000Z",
  device: "ab",
  absent: 2,
  error_code: "",
  error: "",
};
const told = (change: Partial<RestoreProgress>): RestoreInfo => ({
  possible: true,
  calls: 0,
  progress: { ...PROGRESS, ...change },
});
const away = new ApiError(0, "away", "");
const loggedOut = new ApiError(401, "not_logged_in", "");

beforeEach(() => {
  vi.useFakeTimers();
  api.readRestore.mockReset();
  const kept = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
    clear: () => kept.clear(),
  });
});

describe("the restore of another box's backup", () => {
  it("is followed while the box works, waited for while it starts, and ends at a fresh log-in page", async () => {
    const reload = vi.fn();
    const scope = effectScope();
    const restore = scope.run(() => useRestore(reload));
    if (!restore) throw new Error("no scope");
    sessionStorage.setItem("tapdeck.typed.1000", "{}");
    api.readRestore.mockResolvedValue(told({}));
    await restore.begin(async () => told({ done: 0 }));
    expect([restore.running.value, restore.part.value]).toEqual([true, 0.25]);
    api.readRestore.mockResolvedValue(told({ state: "restarting" }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(restore.part.value).toBeNull();
    api.readRestore.mockRejectedValue(away);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(reload).not.toHaveBeenCalled();
    api.readRestore.mockRejectedValue(loggedOut);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(reload).toHaveBeenCalledOnce();
    expect(readRestored()).toEqual({ madeAt: PROGRESS.made_at, absent: 2 });
    expect(sessionStorage.getItem("tapdeck.typed.1000")).toBeNull();
    api.readRestore.mockClear();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.readRestore).not.toHaveBeenCalled();
    scope.stop();
  });

  it("that failed asks no more, and a session that ends meanwhile is no restored box", async () => {
    const reload = vi.fn();
    const scope = effectScope();
    const restore = scope.run(() => useRestore(reload));
    if (!restore) throw new Error("no scope");
    api.readRestore.mockRejectedValue(loggedOut);
    await restore.begin(async () => told({}));
    expect(reload).not.toHaveBeenCalled();
    api.readRestore.mockResolvedValue(told({ state: "failed", error_code: "restore_gone" }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(restore.running.value).toBe(false);
    api.readRestore.mockClear();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(api.readRestore).not.toHaveBeenCalled();
    api.leaveRestore.mockResolvedValue({ possible: true, calls: 0, progress: null });
    api.readRestore.mockResolvedValue({ possible: true, calls: 0, progress: null });
    await restore.leave();
    expect(restore.progress.value).toBeNull();
    scope.stop();
  });
});

describe("what is said after a restore", () => {
  it("is said until somebody is logged in, and nothing else is believed", () => {
    expect(readRestored()).toBeNull();
    keepRestored({ madeAt: "2026-11-22T02:00:00.000Z", absent: 0 });
    expect(readRestored()?.absent).toBe(0);
    forgetRestored();
    expect(readRestored()).toBeNull();
    sessionStorage.setItem("tapdeck.restored", '{"madeAt": 7}');
    expect(readRestored()).toBeNull();
  });
});

describe("a folder as somebody types it", () => {
  it("is an address", () => {
    expect(folderAddress(" /mnt/第二块盘 ")).toBe("file:///mnt/%E7%AC%AC%E4%BA%8C%E5%9D%97%E7%9B%98");
    expect(folderAddress("file:///mnt/second")).toBe("file:///mnt/second");
    expect(folderAddress("C:\\backup")).toBe("C:\\backup");
  });
});
