/** Taking recordings home: what it would be, and the jobs that do it. */

import { request } from "./http";
import type { ImportKind, Job } from "./officeTypes";
import type { AudioFormat } from "./types";

/** What is taken: `calls` are filters as of the list of calls. */
export interface WantedTakeHome {
  medium: string;
  calls: Record<string, unknown>;
  chosen: string[] | null;
  tag: string | null;
  since_last: boolean;
  language: "zh" | "en";
  format: AudioFormat;
  evidence: boolean;
  customers: boolean;
  communications: boolean;
  passphrase: string | null;
}

export interface TakeHomeEstimate {
  calls: number;
  recordings: number;
  bytes: number;
  seconds: number;
  complete: boolean;
  since: string | null;
  fits: boolean | null;
  /** Recordings that are larger than the stick's file system takes. */
  too_large: number;
}

export const estimateTakeHome = (wanted: WantedTakeHome) =>
  request<TakeHomeEstimate>("POST", "/take-homes/estimate", { body: wanted });
export const takeHome = (wanted: WantedTakeHome) => request<Job>("POST", "/take-homes", { body: wanted });
/** A case package: chosen calls with all that proves them. */
export interface WantedCase {
  medium: string;
  calls: string[];
  title: string;
  reason: string;
  language: "zh" | "en";
  passphrase: string | null;
}

export const makeCase = (wanted: WantedCase) => request<Job>("POST", "/case-packages", { body: wanted });
export const pauseJob = (id: number) => request<Job>("POST", `/jobs/${id}/pause`);
export const resumeJob = (id: number) => request<Job>("POST", `/jobs/${id}/resume`);

/** A stick with the files on it that could be imported; `problem`: an error's code when it could not be read. */
export interface ImportStick {
  id: string;
  name: string;
  simulated: boolean;
  files: { place: string; bytes: number; changed_at: string }[];
  more: boolean;
  problem: string;
}
export const readImportSticks = async () => (await request<{ sticks: ImportStick[] }>("GET", "/imports/sticks")).sticks;
export const importFromStick = (kind: ImportKind, language: "zh" | "en", medium: string, place: string) =>
  request<Job>("POST", "/imports/from-stick", { body: { kind, language, medium, place } });
