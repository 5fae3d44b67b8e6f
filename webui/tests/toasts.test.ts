/** What is said for a moment: how much of it, in which order, and how it is undone. */

import { beforeEach, expect, test } from "vitest";
import { dismiss, doNewest, tell, toast, toasts } from "@/stores/toasts";

const texts = () => toasts.map((one) => one.text);
beforeEach(() => toasts.splice(0));

test("the same words stand once, as the newest", () => {
  toast.success("saved");
  toast.error("refused");
  toast.success("saved");
  expect(texts()).toEqual(["refused", "saved"]);
  toast.error("saved");
  expect(texts()).toEqual(["refused", "saved", "saved"]);
});

test("the oldest go first, and what can be undone last", () => {
  tell("removed", { deed: { words: "Undo", run: () => undefined, testId: "undo" } });
  for (const text of ["a", "b", "c", "d", "e"]) toast.info(text);
  expect(texts()).toEqual(["removed", "b", "c", "d", "e"]);
});

test("a key undoes the newest deed, once, however often it was said", () => {
  const undone: string[] = [];
  const deed = (name: string) => ({ words: "Undo", run: () => undone.push(name), testId: "undo" });
  tell("removed", { deed: deed("first") });
  tell("removed", { deed: deed("second") });
  toast.info("something else");
  expect([doNewest(), undone]).toEqual([true, ["second"]]);
  expect(texts()).toEqual(["removed", "something else"]);
  doNewest();
  expect([doNewest(), undone]).toEqual([false, ["second", "first"]]);
});

test("what went wrong or can be undone stays longer, a reminder until it is put away", () => {
  toast.success("saved");
  toast.error("refused");
  const due = tell("call back", { lasts_ms: null });
  const [saved, refused, reminder] = toasts;
  expect(refused?.lasts_ms).toBeGreaterThan(saved?.lasts_ms ?? 0);
  expect(reminder?.lasts_ms).toBeNull();
  dismiss(due);
  expect(texts()).toEqual(["saved", "refused"]);
});
