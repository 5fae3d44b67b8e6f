/** The API resources of the box itself, and of the operator's own access, as typed functions. */

import type * as B from "./boxTypes";
import { readDrafts } from "./desk";
import { ApiError, apiUrl, failure, request } from "./http";
import type { HoldKind } from "./types";

export const readAlarms = async (past = false) =>
  (await request<{ alarms: B.BoxAlarm[] }>("GET", "/alarms", { query: { past: past || undefined } })).alarms;
export const readAlarmMail = () => request<B.AlarmMail>("GET", "/alarm-mail");
export const testAlarmMail = () => request<void>("POST", "/alarm-mail/test");
export const readDaemons = () => request<{ version: string; daemons: B.Daemon[] }>("GET", "/daemons");

export const readCallerIds = (channel: number, before?: string) =>
  request<{ entries: B.CallerIdEntry[]; next: string | null }>("GET", `/channels/${channel}/caller-ids`, {
    query: { limit: 50, before },
  });
export const ringAudioUrl = (callId: string) => apiUrl(`/calls/${callId}/ring-audio`);
export const tryRecording = (channel: number, call: B.TriedCall) =>
  request<B.RecordingOutcome>("POST", `/channels/${channel}/recording-test`, { body: call });

export const readEvidence = () => request<B.BoxEvidence>("GET", "/evidence");

export const readRules = async () => (await request<{ rules: B.RetentionRule[] }>("GET", "/retention-rules")).rules;
const rulePath = (kind: B.RuleKind, subject: string) => `/retention-rules/${kind}/${encodeURIComponent(subject)}`;
export const setRule = (kind: B.RuleKind, subject: string, days: number) =>
  request<B.RetentionRule>("PUT", rulePath(kind, subject), { body: { days } });
export const removeRule = (kind: B.RuleKind, subject: string) => request<void>("DELETE", rulePath(kind, subject));
/** What the box would delete if this rule stood (`days` undefined: were removed), in words by language. */
export const previewRule = async (kind: B.RuleKind, subject: string, days?: number) =>
  (
    await request<{ text: { en: string; zh: string } }>("GET", "/storage/preview", {
      query: { rule: `${kind}/${subject}`, days },
    })
  ).text;

export interface WantedHold {
  kind: HoldKind;
  reason: string;
  subject?: string;
  from?: string;
  to?: string;
  channel?: number;
}
export const setHold = (hold: WantedHold) => request<unknown>("POST", "/holds", { body: hold });

export const searchErasure = (number: string) =>
  request<B.FoundItems>("POST", "/erasures/search", { body: { number } });
export const eraseNumber = (number: string, going: number) =>
  request<{ order: number; salt: string }>("POST", "/erasures", { body: { number, going } });
export const readErasure = (order: number) => request<B.ErasureState>("GET", `/erasures/${order}`);
/** The number must not stand in an address, so the file comes as the answer to a question. Throws {@link ApiError}. */
export async function exportNumber(number: string, csrf: string): Promise<Blob> {
  const answer = await fetch(apiUrl("/erasures/export"), {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tapdeck-CSRF": csrf },
    body: JSON.stringify({ number }),
    credentials: "same-origin",
  }).catch(() => {
    throw new ApiError(0, "away", "The box cannot be reached");
  });
  if (!answer.ok) throw await failure(answer);
  return answer.blob();
}

export const readSecondFactor = () => request<B.SecondFactor>("GET", "/second-factor");
export const beginSecondFactor = (password: string) =>
  request<{ secret: string; uri: string }>("POST", "/second-factor", { body: { password } });
export const confirmSecondFactor = (code: string) =>
  request<{ codes: string[]; csrf: string }>("POST", "/second-factor/confirm", { body: { code } });
export const renewRecoveryCodes = (password: string) =>
  request<{ codes: string[]; csrf: string }>("POST", "/second-factor/recovery-codes", { body: { password } });
export const disableSecondFactor = (password: string) =>
  request<unknown>("POST", "/second-factor/disable", { body: { password } });

export const readTokens = async (staffNo: string) =>
  (await request<{ tokens: B.Token[] }>("GET", "/tokens", { query: { staff_no: staffNo } })).tokens;
export const makeToken = (token: B.WantedToken) =>
  request<{ secret: string; token: B.Token }>("POST", "/tokens", { body: token });
export const revokeToken = (id: string) => request<void>("DELETE", `/tokens/${id}`);

/** One's own draft under a key, null when there is none. */
export const readDraft = async (key: string) => (await readDrafts()).find((one) => one.key === key)?.body ?? null;
