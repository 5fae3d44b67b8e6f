/** Operators and groups, as those who manage operators see them. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { readGroups, readOperators } from "@/api/office";
import type { Group, Level, NewOperator, StaffMember } from "@/api/officeTypes";

/** All permissions, in the order in which people look for them. */
export const PERMISSIONS: Record<string, string[]> = {
  customers: ["customer_manage", "customer_import_delete", "customer_share"],
  communications: ["communication_manage", "communication_import_delete", "communication_share"],
  calls: ["net_popup", "recording_query", "recording_export", "recording_delete", "live_monitor", "hold_manage"],
  oversight: ["statistics", "quality_score", "audit_read"],
  setup: ["channel_setup", "system_setup", "operator_manage"],
};
export const ALL_PERMISSIONS = Object.values(PERMISSIONS).flat();

const AGENT = ["customer_manage", "communication_manage", "net_popup"];
const HEARS = [...AGENT, "recording_query"];

/** From what a new operator begins. */
export const TEMPLATES: { name: string; level: Level; permissions: string[] }[] = [
  { name: "agent", level: "ordinary", permissions: AGENT },
  { name: "agentHears", level: "ordinary", permissions: HEARS },
  {
    name: "leader",
    level: "leader",
    permissions: [...HEARS, "recording_export", "live_monitor", "statistics", "quality_score"],
  },
  { name: "administrator", level: "super", permissions: ALL_PERMISSIONS },
  { name: "auditor", level: "super", permissions: ["recording_query", "hold_manage", "statistics", "audit_read"] },
];

const LEVELS: Level[] = ["ordinary", "leader", "super"];

/** The levels that somebody may grant: none above the own one. */
export const levelsUpTo = (level: Level) => LEVELS.slice(0, LEVELS.indexOf(level) + 1);

export function emptyOperator(): NewOperator {
  return { staff_no: "", name: "", level: "ordinary", group: null, channels: [], permissions: [...AGENT] };
}

/** What of these settings cannot work, as the box would warn. */
export function warningsOf(wanted: Omit<NewOperator, "staff_no" | "name">): string[] {
  const holds = (permission: string) => wanted.permissions.includes(permission);
  return [
    ...(wanted.level === "leader" && wanted.group === null ? ["leader_without_group"] : []),
    ...(wanted.level === "ordinary" && !wanted.channels.length ? ["ordinary_without_channel"] : []),
    ...(holds("customer_import_delete") && !holds("customer_manage") ? ["customer_import_delete_alone"] : []),
    ...(holds("communication_import_delete") && !holds("communication_manage")
      ? ["communication_import_delete_alone"]
      : []),
  ];
}

/** Whether no call could ever pop up for somebody, whatever the channels say. */
export function seesNoCall({ level, group, channels, permissions }: Omit<NewOperator, "staff_no" | "name">): boolean {
  if (!permissions.includes("net_popup")) return false; // an auditor's choice: nothing was expected to pop up
  return (level === "ordinary" && !channels.length) || (level === "leader" && group === null);
}

export type OperatorProblem = "staffNo" | "name";

/** What is still missing before an operator can be added. */
export function missingOf(wanted: NewOperator): OperatorProblem[] {
  return [
    ...(/^[0-9A-Za-z]{1,16}$/.test(wanted.staff_no.trim()) ? [] : ["staffNo" as const]),
    ...(wanted.name.trim() ? [] : ["name" as const]),
  ];
}

export const useStaffStore = defineStore("staff", () => {
  const operators = ref<StaffMember[]>([]);
  const groups = ref<Group[]>([]);
  const loading = ref(true);
  const problem = ref<unknown>(null);

  async function load(): Promise<void> {
    loading.value = true;
    try {
      [operators.value, groups.value] = await Promise.all([readOperators(), readGroups()]);
      problem.value = null;
    } catch (error) {
      problem.value = error;
    } finally {
      loading.value = false;
    }
  }

  const byStaffNo = computed(() => new Map(operators.value.map((one) => [one.staff_no, one])));
  const groupName = (number: number | null) =>
    number === null ? "" : groups.value.find((one) => one.number === number)?.name || String(number);

  return { operators, groups, loading, problem, load, byStaffNo, groupName };
});
