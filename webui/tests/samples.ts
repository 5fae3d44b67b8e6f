/** Calls, recordings and pop-ups for the tests, as the API would send them. */

import type { Call, Customer, Popup, Recording } from "@/api/types";

export function aCall(id: string, change: Partial<Call> = {}): Call {
  return {
    id,
    channel: 1,
    channel_name: "Front desk",
    direction: "incoming",
    state: "ringing",
    result: null,
    caller_number: "13800138000",
    caller_name: null,
    absence: null,
    dialled_number: null,
    caller_e164: null,
    dialled_e164: null,
    number_place: null,
    number_place_en: null,
    started_at: "2026-11-21T09:05:00.250Z",
    answered_at: null,
    ended_at: null,
    ring_ms: null,
    talk_ms: null,
    simulated: true,
    handled_by: null,
    handled_how: null,
    kept: true,
    kept_reason: null,
    paused: false,
    machine: null,
    customers: [],
    recordings: [],
    ...change,
  };
}

export function aRecording(id: string, change: Partial<Recording> = {}): Recording {
  return {
    id,
    kind: "call",
    segment: 1,
    state: "pending",
    started_at: "2026-11-21T09:05:04.000Z",
    duration_ms: null,
    tracks: 1,
    missing_ms: null,
    pauses: [],
    format: null,
    bytes: null,
    sha256: null,
    encrypted: false,
    ...change,
  };
}

export function aPopup(call: Call, change: Partial<Popup> = {}): Popup {
  return { call, customers: [], rows: ["F"], offers_new_customer: true, history: [], ...change };
}

export function aCustomer(id: string, number: string): Customer {
  return {
    id,
    name: "Wang Xiaomei",
    company: "Huaxin",
    title: "",
    category: "",
    level: "",
    note: "",
    gender: "",
    wechat: "",
    email: "",
    region: "",
    address: "",
    postcode: "",
    status: "",
    source: "",
    tags: [],
    custom: {},
    consent: "",
    next_contact_at: null,
    phones: [{ label: "", number, e164: `+86${number}` }],
    author: "1001",
    owner: "1001",
    created_at: "2026-11-21T09:05:00.000Z",
    changed_at: "2026-11-21T09:05:00.000Z",
  };
}
