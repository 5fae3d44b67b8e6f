/** Every API resource that the pages use, as typed functions. */

import { apiUrl, request } from "./http";
import type { Call, CallFilter, Card, Channel, Customer, CustomerDraft, Popup, Session } from "./types";

export const logIn = (staff_no: string, password: string) =>
  request<Session>("POST", "/session", { body: { staff_no, password } });
export const readSession = () => request<Session>("GET", "/session");
export const logOut = () => request<void>("DELETE", "/session");
export const changePassword = (old_password: string, new_password: string) =>
  request<void>("POST", "/session/password", { body: { old_password, new_password } });

export const readChannels = async () => (await request<{ channels: Channel[] }>("GET", "/channels")).channels;
export const readCards = async () => (await request<{ cards: Card[] }>("GET", "/cards")).cards;

export const readCalls = (filter: CallFilter, limit: number, before?: string) =>
  request<{ calls: Call[]; next: string | null }>("GET", "/calls", { query: { ...filter, limit, before } });

export const readPopups = () => request<{ position: string; popups: Popup[] }>("GET", "/popups");

export const readCustomers = (query: { q?: string; number?: string; limit?: number; after?: string | number }) =>
  request<{ customers: Customer[]; next: string | number | null }>("GET", "/customers", { query });
export const addCustomer = (draft: CustomerDraft) => request<Customer>("POST", "/customers", { body: draft });
export const changeCustomer = (id: Customer["id"], draft: CustomerDraft) =>
  request<Customer>("PATCH", `/customers/${id}`, { body: draft });
export const deleteCustomer = (id: Customer["id"]) => request<void>("DELETE", `/customers/${id}`);

export const eventsUrl = (position: string) => apiUrl("/events", { after: position });
export const audioUrl = (recordingId: string) => apiUrl(`/recordings/${recordingId}/audio`, { format: "flac" });
export const downloadUrl = (recordingId: string) =>
  apiUrl(`/recordings/${recordingId}/audio`, { format: "flac", download: 1 });
