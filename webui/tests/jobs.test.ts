import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope } from "vue";
import type { ImportCounts, Job } from "@/api/officeTypes";
import { rowsTaken, useJob } from "@/stores/jobs";

let asked: string[];
let waiting: ((response: Response) => void)[];

const aJob = (id: number, state = "running") => ({ id, state, done_rows: 0 }) as Job;
const scope = effectScope();

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  waiting = [];
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url.replace("/api/v1", ""));
    return new Promise<Response>((resolve) => {
      waiting.push(resolve);
    });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const followed = () => scope.run(() => useJob()) as ReturnType<typeof useJob>;
async function answer(response: Response) {
  waiting.shift()?.(response);
  await vi.advanceTimersByTimeAsync(0);
}

describe("the rows of an import", () => {
  it("are counted by what becomes of those that are there already", () => {
    const counts = { new: 6, known: 1, changed: 2, restored: 1, wrong: 2 } as ImportCounts;
    expect(rowsTaken(counts, "skip")).toEqual({ taken: 8, out: 3 });
    expect(rowsTaken(counts, "add")).toEqual({ taken: 9, out: 2 });
    expect(rowsTaken(null, "skip")).toEqual({ taken: 0, out: 0 });
  });
});

describe("a job that is followed", () => {
  it("is asked for until it ends, also after an answer that failed", async () => {
    const { job, problem, follow } = followed();
    follow(aJob(1));
    await vi.advanceTimersByTimeAsync(1000);
    await answer(Response.json({ error: { code: "internal", message: "" } }, { status: 500 }));
    expect(problem.value).toMatchObject({ code: "internal" });
    await vi.advanceTimersByTimeAsync(1000);
    await answer(Response.json(aJob(1, "done")));
    await vi.advanceTimersByTimeAsync(5000);
    expect([job.value?.state, problem.value, asked.length]).toEqual(["done", null, 2]);
  });

  it("is asked for no more once it is left, even if an answer was on its way", async () => {
    const { job, follow, leave } = followed();
    follow(aJob(1));
    await vi.advanceTimersByTimeAsync(1000);
    leave();
    await answer(Response.json(aJob(1)));
    await vi.advanceTimersByTimeAsync(5000);
    expect([job.value, asked]).toEqual([null, ["/jobs/1"]]);
  });

  it("does not come back when another one is followed", async () => {
    const { job, follow, leave } = followed();
    follow(aJob(1));
    await vi.advanceTimersByTimeAsync(1000);
    leave();
    follow(aJob(2));
    await answer(Response.json(aJob(1)));
    expect(job.value?.id).toBe(2);
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked).toEqual(["/jobs/1", "/jobs/2"]);
  });

  it("is not asked for when its page has gone", async () => {
    const page = effectScope();
    const { follow } = page.run(() => useJob()) as ReturnType<typeof useJob>;
    follow(aJob(1));
    await vi.advanceTimersByTimeAsync(1000);
    page.stop();
    await answer(Response.json(aJob(1)));
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toEqual(["/jobs/1"]);
  });

  it("tells whether what was asked of it went well, also when it is no longer shown", async () => {
    const { job, problem, attempt, leave } = followed();
    const failing = attempt(Promise.reject(new Error("away")));
    leave();
    expect([await failing, problem.value]).toEqual([false, null]);
    expect(await attempt(Promise.resolve(aJob(3, "done")))).toBe(true);
    expect(job.value?.id).toBe(3);
  });
});
