/** A new box takes over from another one: which backups there are, what one is, how far its restore is. */

import { request } from "./http";

/** Where backups lie: on a stick (its id), or in a folder (`file:///…`). */
export type RestorePlace = { medium: string } | { address: string };

/** A backup as its head tells of it; `recordings`: how many lie beside it, null without. */
export interface RestoreBackup {
  name: string;
  made_at: string;
  device: string;
  software: string;
  bytes: number;
  recordings: number | null;
}

export interface RestoreProgress {
  state: "preparing" | "restarting" | "failed";
  phase: "unpacking" | "recordings" | "settling";
  done: number;
  all: number;
  name: string;
  made_at: string;
  device: string;
  /** Recordings that do not lie beside the backup, or are damaged. */
  absent: number;
  error_code: string;
  error: string;
}

export interface RestoreInfo {
  possible: boolean;
  /** So many the box has recorded already. */
  calls: number;
  progress: RestoreProgress | null;
}

export const readRestore = () => request<RestoreInfo>("GET", "/restore");
export const lookForBackups = (place: RestorePlace) =>
  request<{ backups: RestoreBackup[] }>("POST", "/restore/look", { body: place });
export const checkBackup = (place: RestorePlace, name: string, passphrase: string) =>
  request<RestoreBackup>("POST", "/restore/check", { body: { ...place, name, passphrase } });
export const beginRestore = (place: RestorePlace, name: string, passphrase: string) =>
  request<RestoreInfo>("POST", "/restore", { body: { ...place, name, passphrase } });
export const leaveRestore = () => request<RestoreInfo>("POST", "/restore/cancel");
