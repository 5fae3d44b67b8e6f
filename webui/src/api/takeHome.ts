/** Taking recordings home: sticks that are plugged in, what it would be, and the job that does it. */

import { request } from "./http";
import type { Job } from "./officeTypes";
import type { AudioFormat } from "./types";

/** A file system on a stick; see docs/usb.md for its states. */
export interface Stick {
  id: string;
  label: string;
  name: string;
  model: string;
  free_bytes: number | null;
  state: string;
}

/** What is taken: `calls` are filters as of the list of calls. */
export interface WantedTakeHome {
  medium: string;
  calls: Record<string, unknown>;
  chosen: string[] | null;
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
  fits: boolean | null;
}

export const readSticks = async () => (await request<{ media: Stick[] }>("GET", "/media")).media;
export const estimateTakeHome = (wanted: WantedTakeHome) =>
  request<TakeHomeEstimate>("POST", "/take-homes/estimate", { body: wanted });
export const takeHome = (wanted: WantedTakeHome) => request<Job>("POST", "/take-homes", { body: wanted });
export const pauseJob = (id: number) => request<Job>("POST", `/jobs/${id}/pause`);
export const resumeJob = (id: number) => request<Job>("POST", `/jobs/${id}/resume`);
