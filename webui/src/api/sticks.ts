/** USB sticks: which are plugged in, which the office knows, and when they may be pulled out. */

import { request } from "./http";
import type { AudioFormat, Direction } from "./types";

export const STICK_STATES = [
  "seen",
  "mounted",
  "checking",
  "writing",
  "flushing",
  "safe_to_remove",
  "forbidden",
  "refused",
] as const;
export type StickState = (typeof STICK_STATES)[number];

/** A file system on a stick that is plugged in; see docs/usb.md for its states and reasons. */
export interface Stick {
  id: string;
  label: string;
  name: string;
  known: boolean;
  model: string;
  file_system: string;
  partition: number | null;
  size_bytes: number;
  free_bytes: number | null;
  state: StickState;
  reason: string;
  unclean: boolean;
  write_protected: boolean;
  writer: string;
  simulated: boolean;
  since_at: string;
}

/** Which calls go onto a known stick by themselves, and in which form. */
export interface WantedAutoExport {
  channel: number | null;
  direction: Direction | null;
  from: string | null;
  language: "zh" | "en";
  format: AudioFormat;
  evidence: boolean;
  customers: boolean;
  communications: boolean;
}

/** The same as it is set up; `problem`: why nothing was written the last time. */
export interface AutoExport extends Omit<WantedAutoExport, "from"> {
  from_at: string | null;
  set_by: string;
  set_at: string;
  ran_at: string | null;
  job_id: number | null;
  problem: "" | "asker_gone" | "permission_missing" | "level_missing" | "paused";
}

/** A stick that the office remembers, plugged in or not. */
export interface KnownStick {
  id: string;
  name: string;
  remembered_by: string;
  remembered_at: string;
  auto_export: AutoExport | null;
}

export interface Sticks {
  allowed: "all" | "known" | "none";
  media: Stick[];
  known: KnownStick[];
}

/** What the event stream says of a stick. */
export interface StickEvent {
  kind: "medium_present" | "medium_changed" | "medium_gone";
  medium: Stick;
}

export const readSticks = () => request<Sticks>("GET", "/media");
export const ejectStick = (id: string) => request<Stick>("POST", `/media/${id}/eject`, { body: {} });
export const rememberStick = (id: string, name: string) =>
  request<KnownStick>("PUT", `/media/${id}/known`, { body: { name } });
export const forgetStick = (id: string) => request<void>("DELETE", `/media/${id}/known`);
export const setAutoExport = (id: string, wanted: WantedAutoExport) =>
  request<AutoExport>("PUT", `/media/${id}/auto-export`, { body: wanted });
export const endAutoExport = (id: string) => request<void>("DELETE", `/media/${id}/auto-export`);
