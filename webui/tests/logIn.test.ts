import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useLogIn } from "@/stores/logIn";
import { useSessionStore } from "@/stores/session";

let sent: unknown[];
let good: string;

beforeEach(() => {
  setActivePinia(createPinia());
  sent = [];
  good = "123456";
  vi.stubGlobal("fetch", async (_url: string, init: RequestInit) => {
    const body = JSON.parse(String(init.body)) as { staff_no: string; password: string; code?: string };
    sent.push(body);
    const refuse = (code: string) => Response.json({ error: { code, message: "" } }, { status: 401 });
    if (body.password !== "right") return refuse("wrong_credentials");
    if (!body.code && body.staff_no === "1001") return refuse("second_factor_required");
    if (body.code && body.code !== good) return refuse("wrong_code");
    const operator = { staff_no: body.staff_no, name: "", level: "super", group: 1, channels: [], permissions: [] };
    return Response.json({ operator, must_change_password: false, csrf: "t" });
  });
});
afterEach(() => vi.unstubAllGlobals());

describe("the log-in", () => {
  it("sends no code and asks for none as long as the box does not", async () => {
    const { form, asksCode, complete, submit } = useLogIn();
    Object.assign(form, { staffNo: " 1002 ", password: "right" });
    expect(complete.value).toBe(true);
    expect(await submit()).toBe(false);
    expect(asksCode.value).toBe(false);
    expect(sent).toEqual([{ staff_no: "1002", password: "right" }]);
    expect(useSessionStore().ready).toBe(true);
  });

  it("asks for the code once the box does, without calling it a fault", async () => {
    const { form, asksCode, problem, complete, submit } = useLogIn();
    Object.assign(form, { staffNo: "1001", password: "right" });
    expect(await submit()).toBe(true);
    expect([asksCode.value, problem.value, complete.value]).toEqual([true, null, false]);
    form.code = " 123456 ";
    expect(complete.value).toBe(true);
    expect(await submit()).toBe(false);
    expect(sent.at(-1)).toEqual({ staff_no: "1001", password: "right", code: "123456" });
    expect(useSessionStore().ready).toBe(true);
  });

  it("says that a code is wrong and keeps what was typed; a recovery code goes the same way", async () => {
    const { form, asksCode, problem, submit } = useLogIn();
    Object.assign(form, { staffNo: "1001", password: "right" });
    await submit();
    form.code = "abcd-efgh-jkm";
    expect(await submit()).toBe(true);
    expect(problem.value).toMatchObject({ code: "wrong_code" });
    expect([form.code, asksCode.value]).toEqual(["abcd-efgh-jkm", true]);
    good = form.code = "abcd-efgh-jkmn";
    expect(await submit()).toBe(false);
    expect([problem.value, useSessionStore().ready]).toEqual([null, true]);
  });

  it("does not send the cursor to the code when the password is wrong", async () => {
    const { form, problem, submit } = useLogIn();
    Object.assign(form, { staffNo: "1001", password: "right" });
    await submit();
    Object.assign(form, { password: "wrong", code: "123456" });
    expect(await submit()).toBe(false);
    expect(problem.value).toMatchObject({ code: "wrong_credentials" });
  });

  it("forgets the code when somebody else is typed", async () => {
    const { form, asksCode, submit } = useLogIn();
    Object.assign(form, { staffNo: "1001", password: "right" });
    await submit();
    form.code = "123456";
    form.staffNo = "1002";
    expect([asksCode.value, form.code]).toEqual([false, ""]);
  });
});
