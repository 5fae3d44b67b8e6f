/** The command box: what it offers for a text, and where that leads. */

import { defineStore } from "pinia";
import { ref, shallowRef } from "vue";
import type { RouteLocationRaw } from "vue-router";
import { readCalls } from "@/api/endpoints";
import { readNumber, readOperators, readParameters, suggestCustomers } from "@/api/office";
import type { Parameter, StaffMember } from "@/api/officeTypes";
import { PLACES, SETTINGS_PAGES, seesPlace } from "@/places";
import { groupNumber, plainNumber } from "@/text/phoneNumber";
import { useBoardStore } from "./board";
import { partyNumber, useCallsStore } from "./calls";
import { usePlayerStore } from "./player";
import { useSessionStore } from "./session";

export type CommandKind = "place" | "setting" | "customer" | "number" | "call" | "operator" | "channel";

export interface Command {
  kind: CommandKind;
  id: string;
  title: string;
  hint: string;
  to: RouteLocationRaw;
  /** A call that was made up. */
  simulated?: boolean;
}

const MOST_OF_A_KIND = 6;
const FEWEST_DIGITS = 3;
const FEWEST_LETTERS = 1;
const FOUND_CALLS = 4;

/** How well `texts` fit what was typed: every word must be somewhere; at the beginning is best. -1: not at all. */
export function fit(typed: string, texts: string[]): number {
  const all = texts.join(" \u0001 ").toLowerCase();
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.every((word) => all.includes(word))) return -1;
  const title = (texts[0] ?? "").toLowerCase();
  const whole = words.join(" ");
  return title.startsWith(whole) ? 3 : title.includes(whole) ? 2 : 1;
}

/** The best few, best first. */
export function best<Item>(items: Item[], typed: string, textsOf: (item: Item) => string[]): Item[] {
  return items
    .map((item) => ({ item, score: fit(typed, textsOf(item)) }))
    .filter(({ score }) => score >= 0)
    .sort((one, two) => two.score - one.score)
    .slice(0, MOST_OF_A_KIND)
    .map(({ item }) => item);
}

type Say = (key: string) => string;

export const useCommandsStore = defineStore("commands", () => {
  const session = useSessionStore();
  const calls = useCallsStore();
  const player = usePlayerStore();
  const board = useBoardStore();
  const open = ref(false);
  const found = shallowRef<Command[]>([]);
  const busy = ref(false);
  let parameters: Promise<Parameter[]> | undefined;
  let staff: Promise<StaffMember[]> | undefined;
  let turn = 0;

  function places(typed: string, say: Say): Command[] {
    const named = [
      ...[...PLACES, { name: "myLine" }].map(({ name }) => ({ name, hint: "" })),
      // What a page is for is found too, not only what it is called.
      ...SETTINGS_PAGES.map(({ name }) => ({ name, hint: say(`settings.${name}`) })),
    ].filter(({ name }) => seesPlace(session.operator, name));
    return best(named, typed, ({ name, hint }) => [say(`nav.${name}`), name, hint]).map(({ name, hint }) => ({
      kind: "place" as const,
      id: name,
      title: say(`nav.${name}`),
      hint,
      to: { name },
    }));
  }

  async function settings(typed: string, locale: "zh" | "en"): Promise<Command[]> {
    const scopes = [
      ...(session.may("system_setup") ? ["system"] : []),
      ...(session.may("channel_setup") ? ["channel"] : []),
    ];
    if (!scopes.length) return [];
    parameters ??= readParameters();
    const rows = (await parameters).filter((row) => scopes.includes(row.scope));
    const texts = (row: Parameter) => [row.name[locale], row.name.en, row.name.zh, row.key, row.help[locale]];
    return best(rows, typed, texts).map((row) => ({
      kind: "setting",
      id: `${row.scope}.${row.key}`,
      title: row.name[locale],
      hint: row.help[locale],
      to: { name: row.scope === "system" ? "system" : "channels", query: { find: row.key } },
    }));
  }

  async function customers(typed: string, locale: "zh" | "en"): Promise<Command[]> {
    if (!session.may("customer_manage")) return [];
    return (await suggestCustomers(typed, MOST_OF_A_KIND)).map((row) => ({
      kind: "customer",
      id: row.id,
      title: row.name || row.company || groupNumber(row.number),
      hint: [row.name && row.company, groupNumber(row.number), locale === "zh" ? row.place : row.place_en]
        .filter(Boolean)
        .join(" · "),
      to: { name: "customers", query: { open: row.id } },
    }));
  }

  async function numbers(typed: string, locale: "zh" | "en"): Promise<Command[]> {
    const digits = plainNumber(typed);
    if (!/^[+*#\d]+$/.test(digits) || digits.length < FEWEST_DIGITS) return [];
    const [known, page] = await Promise.all([
      readNumber(digits),
      readCalls({ number: digits }, FOUND_CALLS, undefined),
    ]);
    for (const call of page.calls) calls.put(call);
    const place = locale === "zh" ? known.place_zh : known.place_en;
    const carrier = locale === "zh" ? known.carrier_zh : known.carrier_en;
    return [
      {
        kind: "number",
        id: digits,
        title: groupNumber(digits),
        hint: [place, carrier].filter(Boolean).join(" · "),
        to: { name: "calls", query: { number: digits } },
      },
      ...page.calls.map((call) => ({
        kind: "call" as const,
        id: call.id,
        title: groupNumber(partyNumber(call)),
        hint: call.started_at,
        simulated: call.simulated,
        to: { name: "calls", query: { number: plainNumber(partyNumber(call) ?? "") } },
      })),
    ];
  }

  async function operators(typed: string): Promise<Command[]> {
    if (!session.may("operator_manage")) return [];
    staff ??= readOperators();
    return best(await staff, typed, (row) => [row.name, row.staff_no]).map((row) => ({
      kind: "operator",
      id: row.staff_no,
      title: row.name,
      hint: row.staff_no,
      to: { name: "operators", query: { find: row.staff_no } },
    }));
  }

  /** Each channel's settings, by its number or name. */
  function channels(typed: string): Command[] {
    if (!session.may("channel_setup")) return [];
    return best(board.sorted, typed, (row) => [row.name, String(row.number)]).map((row) => ({
      kind: "channel",
      id: String(row.number),
      title: [row.number, row.name].filter(Boolean).join(" "),
      hint: "",
      to: { name: "channels", query: { channel: row.number, find: "name" } },
    }));
  }

  /** Looks for what was typed; what cannot be read is left out. */
  async function find(text: string, say: Say, locale: "zh" | "en"): Promise<void> {
    const typed = text.trim();
    turn += 1;
    const mine = turn;
    found.value = places(typed, say);
    if (typed.length < FEWEST_LETTERS) return;
    busy.value = true;
    const asked = [numbers(typed, locale), customers(typed, locale), settings(typed, locale), operators(typed)];
    const answers = await Promise.all(asked.map((one) => one.catch(() => [])));
    if (mine !== turn) return;
    const [byNumber = [], byName = [], bySetting = [], byStaff = []] = answers;
    found.value = [...byNumber, ...byName, ...found.value, ...channels(typed), ...bySetting, ...byStaff];
    busy.value = false;
  }

  /** Begins anew: other people may have changed tables, and another operator sees others. */
  function begin(): void {
    parameters = undefined;
    staff = undefined;
    found.value = [];
    turn += 1;
    busy.value = false;
  }

  /** A chosen call is opened in the player too. */
  function choose(command: Command): void {
    open.value = false;
    if (command.kind === "call" && session.may("recording_query")) player.open(command.id);
  }

  return { open, found, busy, find, begin, choose };
});
