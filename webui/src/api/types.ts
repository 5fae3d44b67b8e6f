/** What the HTTP API sends. Times are ISO 8601 UTC with milliseconds, durations milliseconds, levels dBm0. */

import type { StickEvent } from "./sticks";

export type Permission = string;

export interface Operator {
  staff_no: string;
  name: string;
  level: "super" | "leader" | "ordinary";
  group: number | string | null;
  channels: number[];
  permissions: Permission[];
}

export interface Session {
  operator: Operator;
  must_change_password: boolean;
  csrf: string;
  /** The office's IANA name; "" when the box does not know it by one. */
  time_zone: string;
}

export const DIRECTIONS = ["incoming", "outgoing"] as const;
export type Direction = (typeof DIRECTIONS)[number];
export type CallState = "ringing" | "dialling" | "talking" | "ended";
export const RESULTS = ["answered", "missed", "abandoned"] as const;
export type CallResult = (typeof RESULTS)[number];

/** Silence where somebody paused, from the recording's first sample. */
export interface Pause {
  from_ms: number;
  to_ms: number;
  by: string;
  reason: string;
}

export interface Recording {
  id: string;
  kind: "call" | "continuous" | "manual";
  segment: number;
  state: "pending" | "ready" | "lost" | "deleted";
  started_at: string | null;
  duration_ms: number | null;
  /** 2: left is the near side, right the far one. */
  tracks: number;
  missing_ms: number | null;
  pauses: Pause[];
  format: "flac" | "alaw" | "ulaw" | "opus" | "mp3" | null;
  bytes: number | null;
  sha256: string | null;
  encrypted: boolean;
  deleted_at?: string | null;
  deleted_by?: string | null;
}

/** Lowest and highest value in turn, -128 to 127, for each track. */
export interface Peaks {
  per_second: number;
  tracks: number[][];
}

export interface Order {
  id: number;
  verb: string;
  state: "pending" | "done" | "refused";
  error_code: string | null;
}

export type HoldKind = "call" | "number" | "customer" | "period";

export interface Hold {
  id: string;
  kind: HoldKind;
  subject: string | null;
  from_at: string | null;
  to_at: string | null;
  channel: number | null;
  reason: string;
  set_by: string;
  set_at: string;
  release_asked_by: string | null;
  released_by: string | null;
  released_at: string | null;
}

export interface CustomerName {
  id: string | number;
  name: string;
  company: string | null;
}

export interface Call {
  id: string;
  channel: number;
  channel_name: string;
  direction: Direction;
  state: CallState;
  result: CallResult | null;
  caller_number: string | null;
  caller_name: string | null;
  absence: "withheld" | "unavailable" | null;
  dialled_number: string | null;
  /** By the settings of the site at which it was heard; null for extensions, short and service numbers. */
  caller_e164: string | null;
  dialled_e164: string | null;
  number_place: string | null;
  number_place_en: string | null;
  started_at: string;
  answered_at: string | null;
  ended_at: string | null;
  ring_ms: number | null;
  talk_ms: number | null;
  simulated: boolean;
  handled_by: string | null;
  handled_how: "taken" | "only_one" | null;
  kept: boolean;
  kept_reason: string | null;
  paused: boolean;
  machine: "fax" | "modem" | null;
  customers: CustomerName[];
  recordings: Recording[];
}

export interface Phone {
  label: string | null;
  number: string;
  kind?: string;
  e164?: string | null;
}

/** How the storage stands. `days_left` null: nothing can be said yet, or the room never ends. */
export interface Storage {
  recordings: number;
  used_bytes: number;
  free_bytes: number;
  quota_bytes: number;
  reserve_bytes: number;
  room_bytes: number;
  full_action: "overwrite_oldest" | "stop_and_alarm" | "move_to_archive";
  full: boolean;
  oldest_at: string | null;
  held: number;
  holds: number;
  mean_bytes_a_day: number | null;
  days_left: number | null;
  archives: { name: string; required: boolean; waiting: number; waiting_bytes: number; oldest_at: string | null }[];
}

/** What other rules would delete, in words by language. */
export interface StoragePreview {
  text: { en: string; zh: string };
}

/** The texts of a customer that people type. */
export const CUSTOMER_TEXTS = [
  "name",
  "gender",
  "company",
  "title",
  "wechat",
  "email",
  "region",
  "address",
  "postcode",
  "category",
  "level",
  "status",
  "source",
  "note",
  "consent",
] as const;
export type CustomerText = (typeof CUSTOMER_TEXTS)[number];

/** A value of one of the office's own fields; a date is `YYYY-MM-DD`. */
export type CustomValue = string | number | boolean;

/** The fields of a customer that people type; `changed_at` as it was read, so that nobody's change is overwritten. */
export interface CustomerDraft extends Record<CustomerText, string> {
  phones: { label: string; number: string }[];
  tags: string[];
  /** By the id of the field; null takes a value away. */
  custom: Record<string, CustomValue | null>;
  next_contact_at: string | null;
  changed_at?: string;
}

export interface Customer extends Record<CustomerText, string> {
  id: string;
  phones: Phone[];
  tags: string[];
  custom: Record<string, CustomValue>;
  next_contact_at: string | null;
  author: string;
  owner: string;
  created_at: string;
  changed_at: string;
}

export interface Popup {
  call: Call;
  customers: Customer[];
  rows: string[];
  offers_new_customer: boolean;
  history: Call[];
}

/** Who said "I take it". */
export interface Taking {
  call_id: string;
  staff_no: string;
  at: string;
  how: string;
}

/** What somebody did that others should see at once; `data` depends on `kind`. */
export interface OfficeEvent {
  kind: string;
  at: string;
  call_id: string | null;
  data: Record<string, unknown>;
}

/** A line of the telephone company, or of a desk behind a PBX. */
export type LineKind = "exchange" | "extension";

/** The fields of a channel that change many times a second. */
export interface ChannelReading {
  number: number;
  line: "present" | "lost" | "unknown";
  hook: "on" | "off" | "unknown";
  ringing: boolean;
  volts: number | null;
  level_dbm0: number | null;
  recording: boolean;
}

export interface Channel extends ChannelReading {
  name: string;
  group: number | string | null;
  popup: string | boolean;
  line_kind: LineKind;
  /** No: nothing on it is recorded, listed or told of. */
  enabled: boolean;
  card_id: string | null;
  port: number | null;
  simulated: boolean;
  call: Call | null;
}

export interface Card {
  card_id: string;
  driver: string;
  model: string | null;
  ports: number;
  simulated: boolean;
  connected: boolean;
  link: {
    frames: number;
    bad_frames: number;
    garbage_bytes: number;
    resend_requests: number;
    lost_samples: number;
  };
}

/** Which calls. What `channel` and `direction` tell is judged by the page too, the rest by the box alone. */
export interface CallFilter {
  channel?: number | string;
  group?: string;
  number?: string;
  customer?: string;
  direction?: Direction;
  result?: CallResult;
  state?: CallState;
  machine?: "fax" | "modem";
  handled_by?: string;
  call_back?: string;
  from?: string;
  to?: string;
  talk_from_ms?: string;
  talk_to_ms?: string;
  text?: string;
  noted?: string;
  tag?: string;
  held?: string;
}

/** A comment, a bookmark at a moment of the call, or a score of 1 to 5. */
export interface CallNote {
  id: number;
  call_id: string;
  at: string;
  author: string;
  author_name: string;
  /** From the beginning of the call; null: about all of it. */
  position_ms: number | null;
  text: string;
  score: number | null;
}

/** What a check of a recording found; `text` in words, by language. */
export interface Verdict {
  verdict: string;
  text: Record<string, string[]>;
}

export const AUDIO_FORMATS = ["original", "flac", "wav", "mp3", "opus"] as const;
export type AudioFormat = (typeof AUDIO_FORMATS)[number];

/** A recording as the list of recordings tells it. */
export interface FoundRecording extends Recording {
  call_id: string | null;
  channel: number;
}

/** One event of the stream, by its SSE name. */
export type StreamEvent =
  | { type: "call"; data: Call }
  | { type: "popup"; data: Popup }
  | { type: "office"; data: OfficeEvent }
  | { type: "recording"; data: { call_id: string | null; recording: Recording } }
  | { type: "line"; data: { channel: number; kind: "line_lost" | "line_present"; at: string } }
  | { type: "card"; data: { card_id: string; kind: "card_lost" | "card_present" } }
  | { type: "medium"; data: StickEvent }
  | { type: "board"; data: { channels: ChannelReading[] } }
  | { type: "reset"; data: { position: string } };

export type StreamEventType = StreamEvent["type"];
