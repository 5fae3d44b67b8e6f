/** A new box takes over from another one: which backups there are, what one is, how far its restore is. */

import { request } from "./http";

/**
 * Where backups lie: on a stick (its id), in a folder (`file:///…`), or on a server (`sftp://…` with the fingerprint
 * that somebody confirmed, `s3://…` with its keys).
 */
export type RestorePlace =
  | { medium: string }
  | { address: string; fingerprint?: string; access_key?: string; secret_key?: string };

/** An SFTP server that nobody has confirmed yet; `key_line`: by which it lets this box in. */
export interface RestoreServer {
  fingerprint: string;
  key_line: string;
}

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
  request<{ backups: RestoreBackup[]; server: RestoreServer | null }>("POST", "/restore/look", { body: place });
export const checkBackup = (place: RestorePlace, name: string, passphrase: string) =>
  request<RestoreBackup>("POST", "/restore/check", { body: { ...place, name, passphrase } });
export const beginRestore = (place: RestorePlace, name: string, passphrase: string) =>
  request<RestoreInfo>("POST", "/restore", { body: { ...place, name, passphrase } });
export const leaveRestore = () => request<RestoreInfo>("POST", "/restore/cancel");
