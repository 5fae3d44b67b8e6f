/** Every API resource that the pages use, as typed functions. */

import type { DeskPopup } from "./deskTypes";
import { apiUrl, request } from "./http";
import type { CustomerFilter } from "./officeTypes";
import type {
  AudioFormat,
  Call,
  CallFilter,
  CallNote,
  Card,
  Channel,
  Customer,
  CustomerDraft,
  FoundRecording,
  Hold,
  Order,
  Peaks,
  Popup,
  Recording,
  Session,
  Storage,
  StoragePreview,
  Taking,
  Verdict,
} from "./types";

/** `code`: of the second factor, or a recovery code; left out while it is empty. */
export const logIn = (staff_no: string, password: string, code = "") =>
  request<Session>("POST", "/session", { body: { staff_no, password, ...(code && { code }) } });
export const readSession = () => request<Session>("GET", "/session");
export const logOut = () => request<void>("DELETE", "/session");
export const changePassword = (old_password: string, new_password: string) =>
  request<void>("POST", "/session/password", { body: { old_password, new_password } });

export const readChannels = async () => (await request<{ channels: Channel[] }>("GET", "/channels")).channels;
export const readCards = async () => (await request<{ cards: Card[] }>("GET", "/cards")).cards;

/** `backwards`: the oldest first. */
export const readCalls = (filter: CallFilter, limit: number, before?: string, backwards?: true) =>
  request<{ calls: Call[]; next: string | null; tags: Record<string, string[]>; held: string[] }>("GET", "/calls", {
    query: { ...filter, limit, before, backwards },
  });

export const readPopups = () => request<{ position: string; popups: Popup[] }>("GET", "/popups");
/** The card of a call that was shown to the one who asks, as it is now. */
export const readPopup = (callId: string) => request<DeskPopup>("GET", `/calls/${callId}/popup`);
export const takeCall = (callId: string) => request<Taking>("POST", `/calls/${callId}/take`);
export const releaseCall = (callId: string) => request<void>("DELETE", `/calls/${callId}/take`);

export const readCustomers = (
  query: CustomerFilter & { sort?: string; order?: "asc" | "desc"; backwards?: true; limit?: number; after?: string },
  unwanted?: AbortSignal,
) => request<{ customers: Customer[]; next: string | null }>("GET", "/customers", { query, unwanted });
export const addCustomer = (draft: Partial<CustomerDraft>) => request<Customer>("POST", "/customers", { body: draft });
export const changeCustomer = (id: Customer["id"], draft: Partial<CustomerDraft>) =>
  request<Customer>("PATCH", `/customers/${id}`, { body: draft });
export const deleteCustomer = (id: Customer["id"]) => request<void>("DELETE", `/customers/${id}`);

export const eventsUrl = (position: string) => apiUrl("/events", { after: position });
/** What every browser plays: FLAC and MP3 as they are stored, everything else decoded by the box. */
export const audioUrl = (recording: Recording) =>
  apiUrl(`/recordings/${recording.id}/audio`, {
    format: recording.format === "flac" || recording.format === "mp3" ? "original" : "wav",
  });
export const downloadUrl = (recordingId: string, format: AudioFormat = "original") =>
  apiUrl(`/recordings/${recordingId}/audio`, { format, download: 1 });
/** Several recordings as one ZIP file. */
export const zipUrl = (ids: string[], format: AudioFormat) => apiUrl("/recordings/zip", { ids: ids.join(","), format });
/** A call up to now, also while it runs. */
export const callAudioUrl = (callId: string) => apiUrl(`/calls/${callId}/audio`);
export const readCall = (id: string) => request<Call>("GET", `/calls/${id}`);
/** Recordings that overlap a time, newest first; also those that belong to no call. */
export const readRecordings = (query: {
  from?: string;
  to?: string;
  kind?: Recording["kind"];
  channel?: string;
  limit: number;
  before?: string;
}) => request<{ recordings: FoundRecording[]; next: string | null }>("GET", "/recordings", { query });
export const verifyRecording = (id: string) => request<Verdict>("POST", `/recordings/${id}/verify`, { body: {} });
export const deleteRecording = async (id: string, reason: string) =>
  (await request<{ order: number }>("DELETE", `/recordings/${id}`, { body: { reason } })).order;
export const readCallNotes = async (callId: string) =>
  (await request<{ notes: CallNote[] }>("GET", `/calls/${callId}/notes`)).notes;
export const addCallNote = (callId: string, note: { text?: string; position_ms?: number; score?: number }) =>
  request<CallNote>("POST", `/calls/${callId}/notes`, { body: note });
export const removeCallNote = (id: number) => request<void>("DELETE", `/call-notes/${id}`);
export const readCallTags = async (callId: string) =>
  (await request<{ tags: string[] }>("GET", `/calls/${callId}/tags`)).tags;
/** The tags that calls in scope have. */
export const readTagsInUse = async () => (await request<{ tags: string[] }>("GET", "/call-tags")).tags;
export const changeCallTags = async (calls: string[], add: string[], remove: string[]) =>
  (await request<{ count: number }>("POST", "/call-tags", { body: { calls, add, remove } })).count;
export const readPeaks = (recordingId: string) => request<Peaks>("GET", `/recordings/${recordingId}/peaks`);
export const liveUrl = (channels: number[]) => apiUrl("/live", { channels: channels.join(",") });

export type CallVerb = "pause" | "resume" | "keep" | "discard";
export const orderForCall = async (callId: string, verb: CallVerb, reason = "") =>
  (await request<{ order: number }>("POST", `/calls/${callId}/${verb}`, { body: { reason } })).order;
export const readOrder = (order: number) => request<Order>("GET", `/orders/${order}`);

/** Holds that stand; with `released` the lifted ones too. */
export const readHolds = async (released = false) =>
  (await request<{ holds: Hold[] }>("GET", "/holds", { query: { released: released || undefined } })).holds;
/** Those that protect this call. */
export const readHoldsOf = async (call: string) =>
  (await request<{ holds: Hold[] }>("GET", "/holds", { query: { call } })).holds;
export const holdCall = (callId: string, reason: string) =>
  request<Hold>("POST", "/holds", { body: { kind: "call", subject: callId, reason } });
export const readStorage = () => request<Storage>("GET", "/storage");
export const previewStorage = (values: { retention_days?: number; storage_quota_gib?: number }) =>
  request<StoragePreview>("GET", "/storage/preview", { query: values });
export type ReleaseStep = "release-request" | "release-confirm" | "release-cancel";
export const releaseHold = (holdId: string, step: ReleaseStep) => request<Hold>("POST", `/holds/${holdId}/${step}`);
