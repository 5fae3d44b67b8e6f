/** What the HTTP API sends about the box itself: alarms, processes, evidence, erasure, tokens. Units as in `types.ts`. */

export interface BoxAlarm {
  id: number;
  code: string;
  subject: string;
  at: string;
  cleared_at: string | null;
  details: Record<string, string | number | boolean>;
}

/** How mail about alarms goes; `to` empty: nobody gets any. */
export interface AlarmMail {
  to: string;
  waiting: number;
  last_sent_at: string | null;
  last_tried_at: string | null;
  last_error: string | null;
}

/** One process of the box. `running` null: nothing can be said of it. */
export interface Daemon {
  name: "recorder" | "keeper" | "api" | "courier" | "integrations" | "backup";
  subject: string;
  running: boolean | null;
  seen_at: string | null;
}

/** What was heard of the caller of one incoming call; `signalling` null: nothing. */
export interface CallerIdEntry {
  id: string;
  at: string;
  signalling: string | null;
  format: string | null;
  valid: boolean;
  number: string | null;
  name: string | null;
  date: string | null;
  time: string | null;
  absence: string | null;
  quality: number | null;
  partial: string | null;
  ring_audio: boolean;
}

export interface TriedCall {
  number: string | null;
  direction: "incoming" | "outgoing";
  at: string | null;
  values: Record<string, boolean | number | string | null>;
}

/** Whether such a call would be recorded, by which rule; of those that the mode chooses, `percent` are. */
export interface RecordingOutcome {
  kept: boolean;
  reason: string;
  percent: number;
}

export interface EvidenceHead {
  log: string;
  tree_size: number;
  root: string;
  at: string;
  reason: "start" | "entry" | "heartbeat" | "stop";
}

/** The logs of one signing key. */
export interface DeviceEvidence {
  device: string | null;
  heads: EvidenceHead[];
  anchor: { number: number; at: string; digest: string; receipts: string[] } | null;
  problems: string[];
}

export interface BoxEvidence {
  device: DeviceEvidence;
  practice: DeviceEvidence;
}

export type RuleKind = "channel" | "group" | "customer" | "operator";

export interface RetentionRule {
  kind: RuleKind;
  subject: string;
  days: number;
  set_by: string;
  set_at: string;
}

export interface FoundItems {
  items: { kind: string; id: string; at: string | null; stays: string | null }[];
  counts: Record<string, number>;
  going: number;
  staying: number;
}

export interface ErasureState {
  order: number;
  state: "pending" | "done" | "refused";
  error_code: string | null;
  certificate: Record<string, unknown> | null;
}

export interface SecondFactor {
  enabled: boolean;
  required: boolean;
  confirmed_at: string | null;
  recovery_codes_left: number;
}

export interface Token {
  id: string;
  staff_no: string;
  name: string;
  permissions: string[];
  read_only: boolean;
  addresses: string;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
  last_address: string | null;
  revoked_at: string | null;
  stands: boolean;
}

export interface WantedToken {
  name: string;
  permissions: string[];
  read_only: boolean;
  addresses: string;
  expires_at: string | null;
}
