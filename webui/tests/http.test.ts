import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { changePassword, logIn, readCalls } from "@/api/endpoints";
import { ApiError, apiUrl, boxNow_ms, request, setCsrf, whenLoggedOut } from "@/api/http";

let asked: { url: string; init: RequestInit }[] = [];
let loggedOut = 0;

function answer(status: number, body: unknown, headers: Record<string, string> = {}) {
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    asked.push({ url, init });
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
  });
}

const failure = (code: string) => ({ error: { code, message: "no" } });
const headersOf = (index: number) => asked[index]?.init.headers as Record<string, string>;

beforeEach(() => {
  asked = [];
  loggedOut = 0;
  whenLoggedOut(() => {
    loggedOut += 1;
  });
  setCsrf("token-1");
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  setCsrf("");
});

describe("the door to the API", () => {
  it("leaves empty parts of a query out", () => {
    expect(apiUrl("/calls", { limit: 50, number: "", result: undefined, before: "a b" })).toBe(
      "/api/v1/calls?limit=50&before=a+b",
    );
    expect(apiUrl("/cards")).toBe("/api/v1/cards");
  });

  it("sends the CSRF token with changes only", async () => {
    answer(204, null);
    await request("DELETE", "/customers/k1");
    answer(200, { calls: [], next: null });
    await readCalls({}, 50);
    expect(headersOf(0)["X-Tapdeck-CSRF"]).toBe("token-1");
    expect(headersOf(1)["X-Tapdeck-CSRF"]).toBeUndefined();
  });

  it("tells of a lost session, but not of a wrong password", async () => {
    answer(401, failure("wrong_credentials"));
    await expect(logIn("1000", "x")).rejects.toMatchObject({ status: 401, code: "wrong_credentials" });
    await expect(changePassword("x", "y")).rejects.toBeInstanceOf(ApiError);
    expect(loggedOut).toBe(0);
    answer(401, failure("wrong_credentials"));
    await expect(changePassword("x", "y")).rejects.toMatchObject({ code: "wrong_credentials" });
    expect(loggedOut).toBe(0);
    answer(401, failure("not_logged_in"));
    await expect(changePassword("x", "y")).rejects.toMatchObject({ code: "not_logged_in" });
    expect(loggedOut).toBe(1);
    loggedOut = 0;
    answer(401, failure("not_logged_in"));
    await expect(readCalls({}, 50)).rejects.toMatchObject({ code: "not_logged_in" });
    expect(loggedOut).toBe(1);
  });

  it("takes a CSRF value of an older session for a lost session", async () => {
    answer(403, failure("csrf"));
    await expect(request("DELETE", "/customers/k1")).rejects.toMatchObject({ code: "csrf" });
    expect(loggedOut).toBe(1);
    answer(403, failure("permission_missing"));
    await expect(request("DELETE", "/customers/k1")).rejects.toMatchObject({ code: "permission_missing" });
    expect(loggedOut).toBe(1);
  });

  it("calls a box away that never answers", async () => {
    vi.spyOn(AbortSignal, "timeout").mockReturnValue(AbortSignal.abort());
    vi.stubGlobal("fetch", async (_url: string, init: RequestInit) => {
      init.signal?.throwIfAborted();
      return new Promise(() => undefined);
    });
    await expect(readCalls({}, 50)).rejects.toMatchObject({ code: "away" });
    vi.restoreAllMocks();
  });

  it("calls a question off by what older browsers know too, and lets go of who may call it off", async () => {
    vi.stubGlobal("AbortSignal", { timeout: () => new AbortController().signal });
    const unwanted = new AbortController();
    const letGo = vi.spyOn(unwanted.signal, "removeEventListener");
    answer(200, { calls: [], next: null });
    await expect(request("GET", "/calls", { unwanted: unwanted.signal })).resolves.toEqual({ calls: [], next: null });
    expect(letGo).toHaveBeenCalledOnce();
    let seen: AbortSignal | null | undefined;
    vi.stubGlobal(
      "fetch",
      (_url: string, init: RequestInit) =>
        new Promise((_, reject) => {
          seen = init.signal;
          seen?.addEventListener("abort", () => reject(new Error("aborted")));
        }),
    );
    const asking = request("GET", "/calls", { unwanted: unwanted.signal });
    unwanted.abort();
    await expect(asking).rejects.toBeInstanceOf(ApiError);
    expect([seen?.aborted, letGo.mock.calls.length]).toEqual([true, 2]);
  });

  it("calls an unreachable box away, and survives answers that are no JSON", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("refused");
    });
    await expect(readCalls({}, 50)).rejects.toMatchObject({ status: 0, code: "away" });
    vi.stubGlobal("fetch", async () => new Response("<html>", { status: 502 }));
    await expect(readCalls({}, 50)).rejects.toMatchObject({ status: 502, code: "unknown" });
  });

  it("follows a box whose clock is ahead, and ignores a second's difference", async () => {
    vi.useFakeTimers({ now: Date.parse("2026-11-21T09:00:00.000Z") });
    answer(200, { calls: [], next: null }, { Date: "Sat, 21 Nov 2026 10:00:00 GMT" });
    await readCalls({}, 50);
    expect(boxNow_ms() - Date.now()).toBe(3_600_500);
    answer(200, { calls: [], next: null }, { Date: "Sat, 21 Nov 2026 09:00:01 GMT" });
    await readCalls({}, 50);
    expect(boxNow_ms() - Date.now()).toBe(0);
  });
});
