/** What the HTTP API sends about the office: settings, staff, records, jobs, figures. Units as in `types.ts`. */

import type { CallResult, Customer, Direction } from "./types";

export type Level = "super" | "leader" | "ordinary";
export interface Bilingual {
  en: string;
  zh: string;
}

export type ParameterValue = boolean | number | string | null;
export type ParameterScope = "system" | "channel" | "card";

/** One row of the parameter table; `minimum` and `maximum` are inclusive and in `unit`. */
export interface Parameter {
  scope: ParameterScope;
  key: string;
  type: "yes_no" | "integer" | "number" | "text";
  default: ParameterValue;
  unit: string;
  minimum: number | null;
  maximum: number | null;
  choices: string[];
  nullable: boolean;
  secret: boolean;
  effect: "at once" | "next call" | "restart";
  name: Bilingual;
  help: Bilingual;
}

export interface Setting {
  key: string;
  value: ParameterValue;
  is_default: boolean;
  changed_at: string | null;
  changed_by: string | null;
  /** A call runs on the channel as it began, and the value holds from its end on. */
  waits: boolean;
}

export interface StaffMember {
  staff_no: string;
  name: string;
  level: Level;
  group: number | null;
  channels: number[];
  permissions: string[];
  active: boolean;
  warnings: string[];
  new_permissions: string[];
}

export interface NewOperator {
  staff_no: string;
  name: string;
  level: Level;
  group: number | null;
  channels: number[];
  permissions: string[];
  returning?: boolean;
}

export interface Replacement extends Omit<NewOperator, "staff_no" | "returning"> {
  records_come_along?: boolean;
  records_to?: string;
}

export interface OneTimePassword {
  staff_no: string;
  one_time_password: string;
  warnings: string[];
}

export interface Group {
  number: number;
  name: string;
  operators: number | null;
  former_operators: number | null;
  channels: number | null;
}

/** How much an operator would leave behind. */
export interface Belongings {
  customers: number;
  communications: number;
  tasks: number;
  call_backs: number;
  drafts: number;
  shared_phrases: number;
  shared_views: number;
  saved_views: number;
  deleted_customers: number;
  sessions: number;
  tokens: number;
}

export interface HandOver {
  id: number;
  at: string;
  by: string;
  to: string;
  reason: string;
  old_owners: string[];
  counts: Record<string, number>;
  finished_at: string | null;
  undone_at: string | null;
  undone_by: string | null;
  moved_on: { kind: string; id: string }[];
}

export interface SessionEntry {
  id: string;
  staff_no: string;
  address: string;
  agent: string;
  began_at: string;
  last_used_at: string;
  own: boolean;
}

export interface RecordingLink {
  state: "linked" | "waiting" | "none";
  reason: string;
}

export interface Communication {
  id: string;
  customer_id: string | null;
  customer_name: string;
  company: string;
  call_id: string | null;
  at: string;
  number: string;
  method: string;
  subject: string;
  content: string;
  result: string;
  next_contact_at: string | null;
  channel: number | null;
  direction: Direction | null;
  talk_ms: number | null;
  author: string;
  author_name: string;
  owner: string;
  created_at: string;
  changed_at: string;
  correctable_until: string;
  versions: number;
  supplements: { id: number; at: string; author: string; content: string }[];
  recording_link: RecordingLink;
  deleted_at: string | null;
  deleted_by: string | null;
}

/** What people type into a record; times ISO 8601 or null. */
export interface CommunicationDraft {
  customer_id: string;
  at: string | null;
  number: string;
  method: string;
  subject: string;
  content: string;
  result: string;
  next_contact_at: string | null;
}

export interface CommunicationFilter {
  /** Written in the pop-up of this call. */
  call?: string;
  q?: string;
  number?: string;
  customer?: string;
  owner?: string;
  method?: string;
  from?: string;
  to?: string;
  next_from?: string;
  next_to?: string;
}

export interface CustomerFilter {
  q?: string;
  number?: string;
  category?: string;
  level?: string;
  status?: string;
  source?: string;
  owner?: string;
  tag?: string;
  next_contact_from?: string;
  next_contact_to?: string;
  created_from?: string;
  created_to?: string;
}

export interface BinnedCustomer {
  id: string;
  customer: Customer;
  deleted_at: string;
  deleted_by: string;
  purged_at: string;
}

export interface Duplicate {
  id: string;
  customer: Customer;
  reasons: ("same_number" | "same_name_and_company")[];
}

export interface Suggestion {
  id: string;
  name: string;
  company: string;
  number: string;
  place: string | null;
  place_en: string | null;
}

export interface NumberInfo {
  number: string;
  e164: string | null;
  kind: string;
  place_zh: string | null;
  place_en: string | null;
  carrier_zh: string | null;
  carrier_en: string | null;
}

export interface SavedView {
  id: number;
  list: string;
  name: string;
  body: Record<string, unknown>;
  shared: boolean;
  owner: string;
  changed_at: string;
  may_change: boolean;
}

/** What becomes of new rows with a number that a customer has already. */
export type KnownRows = "add" | "skip";

export interface ImportCounts {
  rows: number;
  new: number;
  changed: number;
  restored: number;
  unchanged: number;
  duplicate: number;
  wrong: number;
  /** Of the new ones: those whose number a customer has already; and those left out for it. */
  known: number;
  skipped: number;
}

export interface ImportProblem {
  sheet: string;
  row: number;
  column: string;
  code: string;
  text: string;
  wrong: boolean;
}

export type JobState = "waiting" | "running" | "needs_answer" | "done" | "failed" | "cancelled";
export type RecordKind = "customers" | "communications";
/** What a file may hold. */
export type ImportKind = RecordKind | "numbers";

export interface Job {
  id: number;
  kind: string;
  state: JobState;
  phase: string;
  done_rows: number;
  all_rows: number | null;
  created_at: string;
  changed_at: string;
  error_code: string | null;
  error: string | null;
  question: "mapping" | "confirm" | null;
  counts: ImportCounts | null;
  problems: ImportProblem[];
  ignored_sheets: string[];
  header: string[];
  proposal: (string | null)[];
  columns: { key: string; zh: string; en: string }[];
  examples: string[][];
  kept_newer: number | null;
  file: { name: string; bytes: number } | null;
  held: string;
  /** Jobs for sticks that come first; null: it does not wait in their queue. */
  ahead: number | null;
  /** Of a number list that was read. */
  numbers: string[] | null;
  take_home: TakeHomeProgress | null;
  /** Those that the job does, or takes back. */
  hand_overs: number[];
}

/** How far recordings are on their way onto a stick. */
export interface TakeHomeProgress {
  folder: string;
  calls: number;
  recordings: number;
  files: number;
  bytes: number;
  all_bytes: number;
  /** Recordings that were left out: the box cannot read them; the stick's file system does not take them. */
  lost: number;
  too_large: number;
  seconds_left: number | null;
  safe: boolean;
  /** The id of the stick. */
  medium: string;
}

export interface AuditEntry {
  id: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  address: string;
  data: Record<string, unknown>;
  withheld: boolean;
  hash: string | null;
}

export interface AuditFilter {
  actor?: string;
  action?: string;
  subject?: string;
  from?: string;
  to?: string;
}

/** The local days that were counted, both with. */
export interface Span {
  first_day: string;
  last_day: string;
  time_zone: string;
}

export interface CallFigures {
  calls: number;
  incoming: number;
  outgoing: number;
  answered: number;
  missed: number;
  abandoned: number;
  answered_rate: number | null;
  missed_rate: number | null;
  answer_mean_ms: number | null;
  talk_ms: number;
  talk_mean_ms: number | null;
  talk_max_ms: number;
}

export interface Chart {
  measure: string;
  categories: string[];
  series: { key: string; name: string; values: (number | null)[] }[];
}

export interface CallStatistics {
  span: Span;
  rows: { bucket: string; key: string | null; name: string; figures: CallFigures }[];
  total: CallFigures;
  chart: Chart;
}

export interface HeatMap {
  span: Span;
  measure: string;
  values: (number | null)[][];
}

export interface CallBackFigures {
  missed: number;
  called_back: number;
  not_called_back: number;
  called_back_rate: number | null;
  wait_mean_ms: number | null;
  wait_max_ms: number;
}

export interface CallBackStatistics {
  span: Span;
  total: CallBackFigures;
  wait_median_ms: number | null;
  chart: Chart;
}

export interface LineStatistics {
  span: Span;
  lines: number;
  most_in_use: number;
  busy_hour_of_day: { hour: string; erlangs: number } | null;
  needed: { lines: number; agents: number; blocking_now: number } | null;
  all_busy_min: number;
}

export interface MonthlyReport {
  span: Span;
  month: string;
  operators: { staff_no: string; name: string; group: number | null; calls: CallFigures; records: number }[];
  groups: {
    group: number | null;
    name: string;
    operators: number;
    handled: CallFigures;
    channels: CallFigures;
    records: number;
  }[];
  total: CallFigures;
  call_backs: CallBackFigures;
}

/** Narrows the figures; days are local `YYYY-MM-DD`, both with. */
export interface FiguresQuery {
  from: string;
  to: string;
  channel?: number;
  group?: number;
  direction?: Direction;
  operator?: string;
  by?: "hour" | "day" | "month" | "weekday" | "hour_of_day";
  split?: "channel" | "operator" | "group" | "direction" | "result";
  measure?: string;
  result?: CallResult;
}
