/** Backups of the whole box: how they stand, the passphrase that opens them, one made at once. */

import { request } from "./http";
import type { Job } from "./officeTypes";

/** A backup that was tried out; `recordings`: how many lie beside it, null without. */
export interface Backup {
  name: string;
  made_at: string;
  tried_at: string;
  place: string;
  /** The id of the disk, stick or share that was there: disks may take turns. */
  medium: string;
  bytes: number;
  recordings: number | null;
}

/** The last job for a backup, whoever asked for it. */
export interface BackupTry {
  id: number;
  at: string;
  by: string;
  state: Job["state"];
  phase: string;
  done: number;
  all: number | null;
  held: string;
  error_code: string | null;
  error: string | null;
}

export interface Backups {
  passphrase_at: string | null;
  place: string;
  next_at: string | null;
  last_try: BackupTry | null;
  backups: Backup[];
}

export const readBackups = () => request<Backups>("GET", "/backups");
export const choosePassphrase = (passphrase: string, password: string) =>
  request<void>("PUT", "/backups/passphrase", { body: { passphrase, password } });
/** Onto a stick, or with null to where that of every night goes. */
export const makeBackup = (medium: string | null, recordings: boolean) =>
  request<Job>("POST", "/backups", { body: { medium, recordings } });
