/** What needs somebody's attention, with its cause; found out from what the API tells of the box. */

import { ref, watch } from "vue";
import { readAlarms } from "@/api/box";
import type { BoxAlarm } from "@/api/boxTypes";
import { readCards, readChannels, readStorage } from "@/api/endpoints";
import { readAudit, readOperators } from "@/api/office";
import type { AuditEntry, StaffMember } from "@/api/officeTypes";
import type { Card, Channel, Storage } from "@/api/types";
import { useSessionStore } from "./session";

export interface Alarm {
  /** Names the texts for what it is, its cause and its remedy. */
  code: string;
  grave: boolean;
  id: string;
  at: string | null;
  values: Record<string, string | number>;
  /** The place where it is mended. */
  to: { name: string; query?: Record<string, string> } | null;
  /** When it was over; null: it stands. */
  over?: string | null;
}

/** What recorders and keeper raise; whether it is grave, and where it is mended. */
export const BOX_ALARMS: Record<string, { grave: boolean; to: string | null }> = {
  anchor_failed: { grave: false, to: "evidence" },
  archive_changed: { grave: true, to: "storage" },
  archive_lag: { grave: false, to: "storage" },
  backup_overdue: { grave: true, to: "backup" },
  card_lost: { grave: true, to: "lines" },
  clock_leapt: { grave: true, to: null },
  clock_set: { grave: false, to: null },
  cutting_waits: { grave: true, to: "storage" },
  evidence_damaged: { grave: true, to: "evidence" },
  evidence_unreadable: { grave: true, to: "evidence" },
  folder_unreadable: { grave: true, to: null },
  library_task_failed: { grave: false, to: null },
  manifest_missing: { grave: false, to: "evidence" },
  recording_missing: { grave: true, to: null },
  storage_full: { grave: true, to: "storage" },
  store_damaged: { grave: true, to: null },
  store_rebuilt: { grave: false, to: null },
  store_refuses: { grave: true, to: "storage" },
  tape_failing: { grave: true, to: null },
  tape_unreadable: { grave: false, to: null },
};
/** These are told by the state of cards and storage already, with more words. */
const TOLD_BY_STATE = new Set(["archive_lag", "card_lost", "storage_full"]);
const DETAILS = ["error", "problem", "damage", "reason"];

const FEW_DAYS = 7;
const GIB = 1024 ** 3;

export function channelAlarms(channels: Channel[]): Alarm[] {
  return channels
    .filter((channel) => channel.line === "lost")
    .map((channel) => ({
      code: "line_lost",
      grave: true,
      id: String(channel.number),
      at: null,
      values: { n: channel.number, name: channel.name },
      to: { name: "lines" },
    }));
}

export function cardAlarms(cards: Card[]): Alarm[] {
  const of = (code: string, grave: boolean, card: Card, n: number): Alarm => ({
    code,
    grave,
    id: card.card_id,
    at: null,
    values: { name: card.model ?? card.card_id, n },
    to: { name: "lines" },
  });
  return cards.flatMap((card) => [
    ...(card.connected ? [] : [of("card_lost", true, card, card.ports)]),
    ...(card.link.lost_samples ? [of("samples_lost", false, card, card.link.lost_samples)] : []),
  ]);
}

export function storageAlarms(storage: Storage): Alarm[] {
  const of = (code: string, grave: boolean, values: Alarm["values"], id = ""): Alarm => ({
    code,
    grave,
    id,
    at: null,
    values,
    to: { name: "storage" },
  });
  const few = storage.days_left !== null && storage.days_left < FEW_DAYS;
  return [
    ...(storage.full ? [of("storage_full", true, {})] : []),
    ...(few && !storage.full
      ? [of("storage_low", storage.full_action === "stop_and_alarm", { n: Math.floor(storage.days_left ?? 0) })]
      : []),
    ...storage.archives
      .filter((archive) => archive.required && archive.waiting > 0)
      .map((archive) =>
        of(
          "archive_lags",
          false,
          { name: archive.name, n: archive.waiting, size: (archive.waiting_bytes / GIB).toFixed(1) },
          archive.name,
        ),
      ),
  ];
}

/** What the box itself says; those that stand and are told by its state are left out. */
export function boxAlarms(alarms: BoxAlarm[]): Alarm[] {
  return alarms
    .filter((alarm) => alarm.cleared_at !== null || !TOLD_BY_STATE.has(alarm.code))
    .map((alarm) => {
      const known = BOX_ALARMS[alarm.code];
      const detail = DETAILS.map((name) => alarm.details[name]).find((value) => value !== undefined && value !== "");
      return {
        code: known ? `box_${alarm.code}` : "box_other",
        grave: known?.grave ?? false,
        id: String(alarm.id),
        at: alarm.at,
        over: alarm.cleared_at,
        values: {
          code: alarm.code,
          name: alarm.subject || "–",
          n: Number(alarm.details.count ?? alarm.details.days ?? alarm.details.recordings ?? 0),
          s: Math.round(Number(alarm.details.by_ms ?? 0) / 1000),
          detail: String(detail ?? ""),
        },
        to: known?.to ? { name: known.to } : null,
      };
    });
}

export function staffAlarms(operators: StaffMember[]): Alarm[] {
  return operators.flatMap((operator) =>
    operator.active
      ? operator.warnings.map((code) => ({
          code: "staff_warning",
          grave: false,
          id: `${operator.staff_no}.${code}`,
          at: null,
          values: { name: operator.name, staffNo: operator.staff_no, warning: code },
          to: { name: "operators", query: { find: operator.staff_no } },
        }))
      : [],
  );
}

export function watchAlarms(entries: AuditEntry[]): Alarm[] {
  return entries.map((entry) => ({
    code: stoppedExport(entry) ? "auto_export_stopped" : "watch_unusual",
    grave: false,
    id: String(entry.id),
    at: entry.at,
    values: {
      staffNo: entry.subject || entry.actor,
      kind: String(entry.data.kind ?? ""),
      n: Number(entry.data.count ?? 0),
    },
    to: { name: stoppedExport(entry) ? "sticks" : "audit" },
  }));
}
/** Not much of anything, but what somebody set up and may not do any more. */
const stoppedExport = (entry: AuditEntry) => entry.data.kind === "auto_exports";

const weight = (alarm: Alarm) => (alarm.over ? 0 : alarm.grave ? 2 : 1);

/** Reads everything that the operator may see and puts the grave ones first, those that are over last. */
export function useAlarms() {
  const session = useSessionStore();
  const alarms = ref<Alarm[]>([]);
  /** Those that are over, too. */
  const past = ref(false);
  const loading = ref(true);
  const problem = ref<unknown>(null);

  async function load(): Promise<void> {
    loading.value = true;
    try {
      const found = await Promise.all([
        readChannels().then(channelAlarms),
        readCards().then(cardAlarms),
        session.may("system_setup") ? readStorage().then(storageAlarms) : [],
        session.may("system_setup") ? readAlarms(past.value).then(boxAlarms) : [],
        session.may("operator_manage") ? readOperators().then(staffAlarms) : [],
        session.may("audit_read")
          ? readAudit({ action: "watch.unusual" }).then((page) => watchAlarms(page.entries))
          : [],
      ]);
      alarms.value = found.flat().sort((one, two) => weight(two) - weight(one));
      problem.value = null;
    } catch (error) {
      problem.value = error;
    } finally {
      loading.value = false;
    }
  }
  watch(past, load, { immediate: true });
  return { alarms, past, loading, problem, load };
}
