/** The API resources of the desk, as typed functions. */

import type * as D from "./deskTypes";
import { request } from "./http";
import type { Communication } from "./officeTypes";

export const acknowledgePopup = (callId: string) => request<void>("POST", `/calls/${callId}/popup/acknowledge`);
export const handPopup = (callId: string, staffNo: string) =>
  request<void>("POST", `/calls/${callId}/popup/hand`, { body: { staff_no: staffNo } });
export const readPopupTrace = (callId: string) => request<D.Judged<D.TraceLine>>("GET", `/calls/${callId}/popup-trace`);
export const simulatePopup = (supposed: D.Supposed) =>
  request<D.Judged<D.SimulatedLine>>("POST", "/popup-simulation", { body: supposed });

export const addNote = (note: D.NoteToSend) => request<Communication>("POST", "/communications", { body: note });
/** The records that were written from a call's pop-up. */
export const readNotesOf = async (callId: string) =>
  (await request<{ communications: Communication[] }>("GET", "/communications", { query: { call: callId, limit: 50 } }))
    .communications;

export const readAgentState = () => request<D.AgentState>("GET", "/agent-state");
export const setAgentState = (state: D.AgentStateName, reason: string) =>
  request<D.AgentState>("PUT", "/agent-state", { body: { state, reason } });
export const readAgents = () => request<{ agents: D.Agent[]; colleagues: D.Colleague[] }>("GET", "/agents");

export const readPhrases = async () => (await request<{ phrases: D.Phrase[] }>("GET", "/phrases")).phrases;
export const addPhrase = (text: string, shared: boolean) =>
  request<D.Phrase>("POST", "/phrases", { body: { text, shared } });
export const changePhrase = (id: number, change: { text?: string; shared?: boolean }) =>
  request<D.Phrase>("PATCH", `/phrases/${id}`, { body: change });
export const removePhrase = (id: number) => request<void>("DELETE", `/phrases/${id}`);

export const readDrafts = async () => (await request<{ drafts: D.Draft[] }>("GET", "/drafts")).drafts;
export const keepDraft = (key: string, body: string) => request<D.Draft>("PUT", `/drafts/${key}`, { body: { body } });
export const dropDraft = (key: string) => request<void>("DELETE", `/drafts/${key}`);

export const readCallBacks = (query: D.CallBackQuery, limit: number, after?: string) =>
  request<{ call_backs: D.CallBack[]; next: string | null }>("GET", "/call-backs", {
    query: { ...query, limit, after },
  });
export const readCallBack = (callId: string) => request<D.CallBack>("GET", `/call-backs/${callId}`);
export const changeCallBack = (callId: string, change: D.CallBackChange) =>
  request<D.CallBack>("PATCH", `/call-backs/${callId}`, { body: change });

export const readTasks = (whose: "mine" | "all", state: "open" | "done", limit: number, after?: string) =>
  request<{ tasks: D.Task[]; next: string | null }>("GET", "/tasks", { query: { whose, state, limit, after } });
export const readTask = (id: string) => request<D.Task>("GET", `/tasks/${id}`);
export const addTask = (task: D.TaskDraft) => request<D.Task>("POST", "/tasks", { body: task });
export const changeTask = (id: string, change: Partial<D.TaskDraft> & { done?: boolean }) =>
  request<D.Task>("PATCH", `/tasks/${id}`, { body: change });
export const deleteTask = (id: string) => request<void>("DELETE", `/tasks/${id}`);
export const restoreTask = (id: string) => request<D.Task>("POST", `/tasks/${id}/restore`, { body: {} });

export const readNextContacts = (due_before: string, owner: string, before?: string) =>
  request<{ contacts: D.NextContact[]; next: string | null }>("GET", "/next-contacts", {
    query: { due_before, owner, limit: 50, before },
  });

export const readMyLines = (channel?: number) => request<D.MyLines>("GET", "/my-line", { query: { channel } });
