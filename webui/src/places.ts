/** The seven places, the pages of the settings, and who sees which of them. */

import { ChatLineSquare, DataAnalysis, Grid, Phone, Postcard, Setting, User } from "@element-plus/icons-vue";
import type { Component } from "vue";
import type { Operator } from "@/api/types";

type Needs = (operator: Operator) => boolean;

export interface Place {
  name: string;
  icon: Component;
  sees: Needs;
}

/** Who is asked to set the box up. */
export const setsUp: Needs = (operator) =>
  operator.level === "super" && ["system_setup", "channel_setup"].every((one) => operator.permissions.includes(one));

/** Whoever has a backup has everything. */
const backsUp: Needs = (operator) => operator.level === "super" && operator.permissions.includes("system_setup");

const erases: Needs = (operator) =>
  operator.level === "super" &&
  ["recording_delete", "customer_manage", "customer_import_delete"].every((one) => operator.permissions.includes(one));

const may =
  (...permissions: string[]): Needs =>
  (operator) =>
    permissions.some((permission) => operator.permissions.includes(permission));
const leads: Needs = (operator) => operator.level !== "ordinary";
const either =
  (...needs: Needs[]): Needs =>
  (operator) =>
    needs.some((need) => need(operator));
const everybody: Needs = () => true;

export const PLACES: Place[] = [
  { name: "desk", icon: Postcard, sees: everybody },
  { name: "lines", icon: Grid, sees: either(leads, may("live_monitor", "channel_setup")) },
  { name: "calls", icon: Phone, sees: either(leads, may("recording_query")) },
  { name: "customers", icon: User, sees: may("customer_manage") },
  { name: "communications", icon: ChatLineSquare, sees: may("communication_manage") },
  { name: "reports", icon: DataAnalysis, sees: may("statistics") },
  {
    name: "settings",
    icon: Setting,
    sees: may("channel_setup", "system_setup", "operator_manage", "hold_manage", "audit_read"),
  },
];

export interface SettingsPage {
  name: string;
  sees: Needs;
  /** Under which heading it stands. */
  part: "box" | "people" | "records";
}

export const SETTINGS_PAGES: SettingsPage[] = [
  { name: "firstStart", part: "box", sees: setsUp },
  { name: "system", part: "box", sees: may("system_setup") },
  { name: "channels", part: "box", sees: may("channel_setup") },
  { name: "lineTest", part: "box", sees: may("channel_setup") },
  { name: "storage", part: "box", sees: may("system_setup", "hold_manage") },
  { name: "sticks", part: "box", sees: may("recording_export", "system_setup") },
  { name: "backup", part: "box", sees: backsUp },
  { name: "evidence", part: "box", sees: may("system_setup", "audit_read") },
  { name: "practice", part: "box", sees: may("system_setup", "channel_setup") },
  { name: "alarms", part: "box", sees: either(leads, may("system_setup", "audit_read")) },
  { name: "operators", part: "people", sees: may("operator_manage") },
  { name: "groups", part: "people", sees: may("operator_manage") },
  { name: "rights", part: "people", sees: may("operator_manage") },
  { name: "handOvers", part: "people", sees: leads },
  { name: "sessions", part: "people", sees: everybody },
  { name: "security", part: "people", sees: everybody },
  { name: "customFields", part: "records", sees: may("system_setup") },
  { name: "phrases", part: "records", sees: may("communication_manage") },
  { name: "jobs", part: "records", sees: everybody },
  { name: "erasure", part: "records", sees: erases },
  { name: "audit", part: "records", sees: may("audit_read") },
];

/** Whether somebody may open the place or page of this name. */
export function seesPlace(operator: Operator | null, name: string): boolean {
  const found = [...PLACES, ...SETTINGS_PAGES].find((place) => place.name === name);
  return operator !== null && (found?.sees(operator) ?? true);
}
