import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "@/api/http";
import type { Parameter, Setting } from "@/api/officeTypes";
import { keyOfRefusal, useParameterForm } from "@/stores/parameterForm";
import { helpText, problemOf, rangeText, sectionOf, sectionsOf, typedNumber } from "@/text/parameters";

function aParameter(key: string, change: Partial<Parameter> = {}): Parameter {
  return {
    scope: "system",
    key,
    type: "integer",
    default: 15,
    unit: "min",
    minimum: 1,
    maximum: 1440,
    choices: [],
    nullable: false,
    secret: false,
    effect: "at once",
    name: { en: key, zh: "参数" },
    help: { en: "", zh: "" },
    ...change,
  };
}
const IDLE = aParameter("idle_logout_min");
const LANGUAGE = aParameter("language", {
  type: "text",
  choices: ["zh-CN", "en"],
  default: "zh-CN",
  minimum: null,
  maximum: null,
});

/** A box with these settings that answers as the API does, refusing every value 13. */
function serve(parameters: Parameter[]) {
  const values = new Map(parameters.map((one) => [one.key, one.default]));
  const sent: unknown[] = [];
  const rows = (): Setting[] =>
    parameters.map((one) => ({
      key: one.key,
      value: values.get(one.key) ?? null,
      is_default: values.get(one.key) === one.default,
      changed_at: null,
      changed_by: null,
      waits: false,
    }));
  vi.stubGlobal("fetch", async (input: string, init: RequestInit) => {
    if (input.endsWith("/parameters") && !input.includes("system")) return Response.json({ parameters });
    if (init.method === "PATCH") {
      const body = JSON.parse(String(init.body));
      sent.push(body);
      const bad = Object.entries(body.values).find(([, value]) => value === 13);
      if (bad)
        return Response.json({ error: { code: "bad_value", message: `${bad[0]}: 13 is unlucky` } }, { status: 400 });
      for (const [key, value] of Object.entries(body.values)) values.set(key, value as never);
      for (const key of body.reset) values.set(key, parameters.find((one) => one.key === key)?.default ?? null);
    }
    return Response.json({ settings: rows() });
  });
  return sent;
}
afterEach(() => vi.unstubAllGlobals());
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("a value of a parameter", () => {
  it("is checked before the box is asked", () => {
    expect(problemOf(IDLE, 15)).toBeNull();
    expect([0, 1441, 1.5, "abc", null].map((value) => problemOf(IDLE, value))).toEqual([
      "range",
      "range",
      "whole",
      "number",
      "required",
    ]);
    expect(problemOf(aParameter("retention_days", { nullable: true }), null)).toBeNull();
    expect([problemOf(LANGUAGE, "en"), problemOf(LANGUAGE, "fr")]).toEqual([null, "choice"]);
  });

  it("is typed with a dot or a comma, and stays text while it is no number", () => {
    expect(["12", " 3.5 ", "3,5", "", "1x"].map(typedNumber)).toEqual([12, 3.5, 3.5, null, "1x"]);
  });

  it("has its range in words", () => {
    expect(rangeText(IDLE)).toBe("1 – 1440 min");
    expect(rangeText(LANGUAGE)).toBe("");
  });

  it("stands under a heading, an unknown one under the last", () => {
    const unknown = aParameter("quite_new");
    expect([sectionOf(IDLE), sectionOf(LANGUAGE), sectionOf(unknown)]).toEqual(["access", "place", "more"]);
    const sections = sectionsOf([unknown, IDLE, LANGUAGE], "system");
    expect(sections.map((section) => section.name)).toEqual(["place", "access", "more"]);
    expect(sections.flatMap((section) => section.parameters)).toHaveLength(3);
  });
});

describe("a form of parameters", () => {
  it("saves what was typed and what goes back to its default, at once", async () => {
    const sent = serve([IDLE, LANGUAGE]);
    const form = useParameterForm("system", () => null);
    await settle();
    form.type(IDLE, 30);
    form.type(LANGUAGE, "en");
    form.type(LANGUAGE, "zh-CN");
    expect(form.changes).toBe(1);
    expect(await form.save()).toBe(true);
    form.reset(IDLE);
    expect(form.shownValue(IDLE)).toBe(15);
    await form.save();
    expect(sent).toEqual([
      { values: { idle_logout_min: 30 }, reset: [] },
      { values: {}, reset: ["idle_logout_min"] },
    ]);
    expect([form.changes, form.settings.get("idle_logout_min")?.is_default]).toEqual([0, true]);
  });

  it("asks nothing of the box while a value is wrong", async () => {
    const sent = serve([IDLE]);
    const form = useParameterForm("system", () => null);
    await settle();
    form.type(IDLE, 5000);
    expect([await form.save(), form.problems.get("idle_logout_min"), sent.length]).toEqual([false, "range", 0]);
  });

  it("puts what the box refuses beside its field and keeps what was typed", async () => {
    serve([IDLE]);
    const form = useParameterForm("system", () => null);
    await settle();
    form.type(IDLE, 13);
    expect(await form.save()).toBe(false);
    expect(form.refused.get("idle_logout_min")).toBeInstanceOf(ApiError);
    expect([form.changes, form.shownValue(IDLE)]).toEqual([1, 13]);
    form.type(IDLE, 14);
    expect(form.refused.size).toBe(0);
  });

  it("knows which key is refused: the one that is named, or the only one", () => {
    const refusal = (key?: string, code = "bad_value") => new ApiError(400, code, "name: in any words", key);
    expect(keyOfRefusal(refusal("gain_db"), ["name", "gain_db"])).toBe("gain_db");
    expect(keyOfRefusal(refusal(), ["allowed_addresses"])).toBe("allowed_addresses");
    expect(keyOfRefusal(refusal(), ["name", "gain_db"])).toBeNull();
    expect(keyOfRefusal(refusal(undefined, "locks_out_asker"), ["name", "allowed_addresses"])).toBe(
      "allowed_addresses",
    );
    expect(keyOfRefusal(new ApiError(403, "permission_missing", "", "gain_db"), ["gain_db"])).toBeNull();
  });
});

describe("the help of a parameter", () => {
  const names: Record<string, string> = {
    exchange: "电话局外线",
    extension: "交换机分机",
    overwrite_oldest: "Overwrite the oldest",
  };
  const name = (choice: string) => names[choice] ?? choice;

  it("calls the choices by their names, in the signs of the language", () => {
    const help = "exchange 为电话局外线,可能在多个座席振铃;extension 为交换机分机,即一个座席。";
    expect(helpText(help, ["exchange", "extension"], name, "zh-CN")).toBe(
      "“电话局外线”为电话局外线，可能在多个座席振铃；“交换机分机”为交换机分机，即一个座席。",
    );
    expect(
      helpText("可含 {number};留空则不打开。时区(IANA 名称):天数;0 为永久,见 Caller ID (CLI)", [], name, "zh-CN"),
    ).toBe("可含 {number}；留空则不打开。时区（IANA 名称）：天数；0 为永久，见 Caller ID (CLI)");
    expect(helpText("overwrite_oldest: delete the oldest.", ["overwrite_oldest"], name, "en")).toBe(
      "“Overwrite the oldest”: delete the oldest.",
    );
  });

  it("leaves other words alone", () => {
    expect(helpText("The exchanges of 1,000 lines", ["exchange"], name, "en")).toBe("The exchanges of 1,000 lines");
    expect(helpText("比例 1,000:1", [], name, "zh-CN")).toBe("比例 1,000:1");
  });
});
