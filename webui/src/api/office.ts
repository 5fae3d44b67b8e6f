/** The API resources of the office: settings, staff, records, jobs, figures, as typed functions. */

import { apiUrl, type Query, request, upload } from "./http";
import type * as T from "./officeTypes";
import type { Customer } from "./types";

export const readParameters = async () =>
  (await request<{ parameters: T.Parameter[] }>("GET", "/parameters")).parameters;
const settingsPath = (channel: number | null) =>
  channel === null ? "/system-parameters" : `/channels/${channel}/parameters`;
/** The settings of the box (`channel` null), or of one channel. */
export const readSettings = async (channel: number | null) =>
  (await request<{ settings: T.Setting[] }>("GET", settingsPath(channel))).settings;
export const changeSettings = async (
  channel: number | null,
  values: Record<string, T.ParameterValue>,
  reset: string[],
) => (await request<{ settings: T.Setting[] }>("PATCH", settingsPath(channel), { body: { values, reset } })).settings;
export const copySettings = (channel: number, to: number[], keys: string[]) =>
  request<void>("POST", `/channels/${channel}/parameters/copy`, { body: { to, keys } });

export const readOperators = async () => (await request<{ operators: T.StaffMember[] }>("GET", "/operators")).operators;
export const addOperator = (operator: T.NewOperator) =>
  request<T.OneTimePassword>("POST", "/operators", { body: operator });
export const changeOperator = (staffNo: string, change: { name?: string; active?: boolean }) =>
  request<T.StaffMember>("PATCH", `/operators/${staffNo}`, { body: change });
export const deleteOperator = (staffNo: string) => request<void>("DELETE", `/operators/${staffNo}`);
export const resetPassword = (staffNo: string) =>
  request<T.OneTimePassword>("POST", `/operators/${staffNo}/password-reset`, { body: {} });
export const removeSecondFactor = (staffNo: string) => request<void>("DELETE", `/operators/${staffNo}/second-factor`);
export const replaceOperator = (staffNo: string, replacement: T.Replacement) =>
  request<T.StaffMember | T.Job>("POST", `/operators/${staffNo}/replacement`, { body: replacement });
export const grantNewPermissions = (staffNo: string, permissions: string[]) =>
  request<T.StaffMember>("POST", `/operators/${staffNo}/new-permissions`, { body: { permissions } });
export const readBelongings = (staffNo: string) => request<T.Belongings>("GET", `/operators/${staffNo}/belongings`);
/** Answers with what was done, or with the job that does it. */
export const letLeave = (staffNo: string, to: string[], reason: string) =>
  request<{ hand_overs: T.HandOver[] } | T.Job>("POST", `/operators/${staffNo}/leaving`, { body: { to, reason } });
export const readHandOvers = (before?: string) =>
  request<{ hand_overs: T.HandOver[]; next: string | null }>("GET", "/hand-overs", { query: { before } });
export const handOver = (body: object) =>
  request<{ hand_overs: T.HandOver[] } | T.Job>("POST", "/hand-overs", { body });
export const undoHandOver = (id: number) => request<T.HandOver | T.Job>("POST", `/hand-overs/${id}/undo`, { body: {} });
export const readSessions = async (staffNo: string) =>
  (await request<{ sessions: T.SessionEntry[] }>("GET", "/sessions", { query: { staff_no: staffNo } })).sessions;
export const endSession = (id: string) => request<void>("DELETE", `/sessions/${id}`);

export const readGroups = async () => (await request<{ groups: T.Group[] }>("GET", "/groups")).groups;
export const addGroup = (name: string) => request<T.Group>("POST", "/groups", { body: { name } });
export const renameGroup = (number: number, name: string) =>
  request<T.Group>("PATCH", `/groups/${number}`, { body: { name } });
export const deleteGroup = (number: number) => request<void>("DELETE", `/groups/${number}`);

export const readCommunications = (
  filter: T.CommunicationFilter,
  limit: number,
  before?: string,
  bin = false,
  unwanted?: AbortSignal,
  backwards?: true,
) =>
  request<{ communications: T.Communication[]; next: string | null }>(
    "GET",
    bin ? "/communications/bin" : "/communications",
    { query: { ...filter, limit, before, backwards }, unwanted },
  );
export const countCommunications = (filter: T.CommunicationFilter) =>
  request<{ count: number; at_least: boolean }>("GET", "/communications/count", { query: filter });
export const readCommunication = (id: string) => request<T.Communication>("GET", `/communications/${id}`);
export const addCommunication = (draft: Partial<T.CommunicationDraft>) =>
  request<T.Communication>("POST", "/communications", { body: draft });
export const correctCommunication = (id: string, draft: Partial<T.CommunicationDraft>) =>
  request<T.Communication>("PATCH", `/communications/${id}`, { body: draft });
export const addSupplement = (id: string, content: string) =>
  request<T.Communication>("POST", `/communications/${id}/supplements`, { body: { content } });
export const communicationAudioUrl = (id: string) => apiUrl(`/communications/${id}/audio`);

/** Puts records into the recycle bin, takes them out of it, or removes them for good; all or none. */
export const moveRecords = (kind: T.RecordKind, verb: "delete" | "restore" | "purge", ids: string[]) =>
  request<{ count: number; tasks_kept?: number }>("POST", `/${kind}/${verb}`, { body: { ids } });

export const countCustomers = (filter: T.CustomerFilter) =>
  request<{ count: number; more: boolean }>("GET", "/customers/count", { query: filter });
export const readCustomer = (id: string) => request<Customer>("GET", `/customers/${id}`);
export const suggestCustomers = async (q: string, limit = 8) =>
  (await request<{ customers: T.Suggestion[] }>("GET", "/customers/suggest", { query: { q, limit } })).customers;
export const readTags = async () => (await request<{ tags: string[] }>("GET", "/customers/tags")).tags;
export const readCustomerBin = (after?: string, unwanted?: AbortSignal) =>
  request<{ customers: T.BinnedCustomer[]; next: string | null }>("GET", "/customers/bin", {
    query: { limit: 200, after },
    unwanted,
  });
/** Without `expected` it only counts; with it the customers are changed if they are still as many. */
export const batchCustomers = (body: object) =>
  request<{ count: number; changed: number }>("POST", "/customers/batch", { body });
export const readDuplicates = async (id: string) =>
  (await request<{ duplicates: T.Duplicate[] }>("GET", `/customers/${id}/duplicates`)).duplicates;
export const mergeCustomers = (kept: string, merged: string) =>
  request<{ id: number }>("POST", `/customers/${kept}/merge`, { body: { merged } });
/** What people are called, by staff number: at most 100 at once. */
export const readPeople = (staffNos: string[]) =>
  request<{ names: Record<string, string> }>("GET", "/people", { query: { staff_no: staffNos.join(",") } });
export const undoMerge = (id: number) => request<unknown>("POST", `/merges/${id}/undo`, { body: {} });

export const readNumber = (number: string) => request<T.NumberInfo>("GET", `/numbers/${encodeURIComponent(number)}`);

export const readSavedViews = async (list: string) =>
  (await request<{ views: T.SavedView[] }>("GET", "/saved-views", { query: { list } })).views;
export const addSavedView = (list: string, name: string, body: Record<string, unknown>, shared: boolean) =>
  request<T.SavedView>("POST", "/saved-views", { body: { list, name, body, shared } });
export const changeSavedView = (id: number, change: { name?: string; body?: Record<string, unknown> }) =>
  request<T.SavedView>("PATCH", `/saved-views/${id}`, { body: change });
export const removeSavedView = (id: number) => request<void>("DELETE", `/saved-views/${id}`);

export type Language = "zh" | "en";
export const sendImport = (kind: T.ImportKind, language: Language, file: File, onPart: (part: number) => void) =>
  upload<T.Job>("/imports", { kind, language, name: file.name }, file, onPart);
export const askExport = (kind: string, language: Language, filter: Query, format: "xlsx" | "vcard" = "xlsx") =>
  request<T.Job>("POST", "/exports", { body: { kind, language, format, [kind]: filter } });
export const askClearing = (kind: T.RecordKind, language: Language, confirm: string, filter: Query) =>
  request<T.Job>("POST", "/clearings", { body: { kind, language, confirm, [kind]: filter } });
/** The own jobs, or those of somebody else without what they hold. */
export const readJobs = (before?: number, staff_no?: string) =>
  request<{ jobs: T.Job[]; next: number | null }>("GET", "/jobs", { query: { limit: 50, before, staff_no } });
export const readJob = (id: number) => request<T.Job>("GET", `/jobs/${id}`);
export const confirmJob = (id: number, mapping: (string | null)[] | null, known: T.KnownRows = "add") =>
  request<T.Job>("POST", `/jobs/${id}/confirm`, { body: mapping ? { mapping } : { known } });
export const cancelJob = (id: number) => request<T.Job>("POST", `/jobs/${id}/cancel`, { body: {} });
export const jobFileUrl = (id: number) => apiUrl(`/jobs/${id}/file`);

export const readAudit = (filter: T.AuditFilter, before?: string, unwanted?: AbortSignal, backwards?: true) =>
  request<{ entries: T.AuditEntry[]; next: string | null; head: string | null }>("GET", "/audit", {
    query: { ...filter, limit: 100, before, backwards },
    unwanted,
  });

export const readCallFigures = (query: T.FiguresQuery) =>
  request<T.CallStatistics>("GET", "/statistics/calls", { query });
export const readHeatMap = (query: T.FiguresQuery) => request<T.HeatMap>("GET", "/statistics/heatmap", { query });
export const readCallBackFigures = (query: T.FiguresQuery) =>
  request<T.CallBackStatistics>("GET", "/statistics/call-backs", { query });
export const readLineFigures = (query: T.FiguresQuery) =>
  request<T.LineStatistics>("GET", "/statistics/lines", { query });
export const readMonthly = (month: string) =>
  request<T.MonthlyReport>("GET", "/statistics/monthly", { query: { month } });
export const callFiguresWorkbook = (query: T.FiguresQuery) => apiUrl("/statistics/calls.xlsx", query);
export const monthlyWorkbook = (month: string) => apiUrl("/statistics/monthly.xlsx", { month });
