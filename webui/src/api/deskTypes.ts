/** What the HTTP API sends about the desk: cards, people at work, call-backs, tasks, one's own line. */

import type { Communication, CommunicationDraft } from "./officeTypes";
import type { Call, Channel, CustomerName, Popup } from "./types";

/** A communication record on a card; a long content is cut. */
export interface CardNote {
  id: string;
  customer_id: string;
  call_id: string | null;
  at: string;
  method: string;
  subject: string;
  content: string;
  result: string;
  author: string;
}

/** A pop-up with all that the desk shows of it. */
export interface DeskPopup extends Popup {
  offers_note: boolean;
  communications: CardNote[];
  handed_by: string | null;
  url: string | null;
}

/** A record from a pop-up: number, channel and direction come from the call. */
export type NoteToSend = Partial<CommunicationDraft> & { customer_id: string; call_id: string };
export type NoteSaved = Communication;

export const AGENT_STATES = ["idle", "busy", "wrap_up", "away"] as const;
export type AgentStateName = (typeof AGENT_STATES)[number];

export interface AgentState {
  staff_no: string;
  state: AgentStateName;
  reason: string;
  since: string;
}

export interface Agent {
  staff_no: string;
  name: string;
  level: string;
  group: number | null;
  channels: number[];
  state: AgentStateName | null;
  reason: string;
  since: string | null;
  streams: number;
  calls: string[];
}

/** Somebody to whom a pop-up can be handed now. */
export interface Colleague {
  staff_no: string;
  name: string;
  state: AgentStateName | null;
}

export interface Phrase {
  id: number;
  text: string;
  shared: boolean;
  owner: string;
  /** One's own, or for a super operator that of somebody who left. */
  may_change: boolean;
}

/** Typed text that the box keeps until it is saved. */
export interface Draft {
  key: string;
  body: string;
  changed_at: string;
}

export type CallBackState = "open" | "taken" | "done" | "dismissed";

/** A missed call and what became of it. */
export interface CallBack {
  call: Call;
  state: CallBackState;
  owner: string | null;
  note: string;
  reason: string;
  tries: number;
  missed_since: number;
  response_ms: number | null;
  closed_at: string | null;
  closed_by_call: string | null;
  changed_at: string;
  changed_by: string;
}

export interface CallBackQuery {
  state?: CallBackState | "waiting" | "all";
  owner?: string;
  order?: "oldest" | "newest";
}

export interface CallBackChange {
  state?: CallBackState;
  owner?: string;
  note?: string;
  reason?: string;
  /** It holds for all missed calls of the number that wait, or were settled with this one. */
  of_number?: boolean;
}

export interface Task {
  id: string;
  subject: string;
  note: string;
  customer_id: string | null;
  customer_name: string;
  communication_id: string | null;
  call_id: string | null;
  author: string;
  owner: string;
  owner_name: string;
  due_at: string | null;
  done_at: string | null;
  done_by: string | null;
  overdue: boolean;
  created_at: string;
  changed_at: string;
  deleted_at: string | null;
  /** The customer that it was about was removed for good. */
  customer_purged_at: string | null;
}

export interface TaskDraft {
  subject: string;
  due_at: string | null;
  /** Left out: oneself. */
  owner?: string;
  customer_id?: string;
  call_id?: string;
}

/** Somebody whose next contact is due. */
export interface NextContact {
  kind: "customer" | "communication";
  id: string;
  due_at: string;
  overdue: boolean;
  customer_id: string | null;
  customer_name: string;
  company: string;
  subject: string;
  owner: string;
}

/** One condition of the pop-up rules: of a row, or of all (`row` null). */
export interface Condition {
  row: string | null;
  condition: string;
  holds: boolean;
}

/** Why a call pops up for one operator, or does not. */
export interface ReasonLine {
  staff_no: string;
  name: string;
  shows: boolean;
  rows: string[];
  conditions: Condition[];
  logged_in: boolean;
  state: AgentStateName | null;
}

export interface TraceLine extends ReasonLine {
  streams: number;
  shown_at: string | null;
  acknowledged_at: string | null;
  handed_by: string | null;
}

export interface SimulatedLine extends ReasonLine {
  customers: CustomerName[];
  offers_new_customer: boolean;
}

/** By what the rules were judged, and of what: customers out of the asker's scope are left out unless it is `whole`. */
export interface Judged<Line> {
  whole: boolean;
  operators: Line[];
  /** Of a call that was: `call` as it came up, at `judged_at`; `now`: that was not noted. */
  as_of?: "call" | "now";
  judged_at?: string;
}

export interface Supposed {
  channel: number;
  number: string | null;
  direction: "incoming" | "outgoing";
}

export const POPUP_CAUSES = [
  "shown",
  "handed",
  "channel_popup",
  "direction",
  "number_present",
  "net_popup",
  "available",
  "customer_of_others",
  "not_my_channel",
  "not_here",
] as const;
export type PopupCause = (typeof POPUP_CAUSES)[number];

export interface MyCall {
  call: Call;
  cause: PopupCause;
  shown_at: string | null;
  handed_by: string | null;
}

export interface MyLine {
  channel: Channel;
  last_ring_at: string | null;
  last_number: string | null;
  calls: MyCall[];
}

export interface MyLines {
  lines: MyLine[];
  net_popup: boolean;
  streams: number;
}
