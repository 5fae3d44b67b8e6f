/**
 * What somebody types, kept until it is saved: in this tab at once, in the box (as one's drafts) a moment later.
 *
 * So it outlives a reload, a lost network, a session that expires and a computer that breaks. Everybody has their own:
 * whoever logs in next finds nothing of what the last one typed.
 */

import { defineStore } from "pinia";
import { reactive, watch } from "vue";
import { dropDraft, keepDraft, readDrafts } from "@/api/desk";
import { ApiError, boxNow_ms } from "@/api/http";

/** The fields of a form, all of them text. */
export type Form = Record<string, string>;

interface Entry {
  form: Form;
  changed_ms: number;
}

/** What is in the tab's storage; `gone`: saved or thrown away, and the box may not know it yet. */
interface Stored {
  entries: Record<string, Entry>;
  gone: string[];
}

const PREFIX = "desk.";
const STORED_KEY = "tapdeck.typed";
const SEND_AFTER_MS = 1000;
const GONE_KEPT = 100;

function read(key: string): Stored {
  try {
    return { entries: {}, gone: [], ...(JSON.parse(sessionStorage.getItem(key) ?? "{}") as Partial<Stored>) };
  } catch {
    return { entries: {}, gone: [] };
  }
}

function parsed(body: string): Form | null {
  try {
    const form: unknown = JSON.parse(body);
    return isForm(form) ? form : null;
  } catch {
    return null; // another version's
  }
}

const isForm = (form: unknown): form is Form =>
  typeof form === "object" && form !== null && Object.values(form).every((value) => typeof value === "string");

export const useKeptStore = defineStore("kept", () => {
  const forms = reactive(new Map<string, Form>());
  /** What stands in the tab's storage, as text, by key: tells which forms have changed. */
  const written = new Map<string, { body: string; changed_ms: number }>();
  const unsent = new Set<string>();
  const gone = new Set<string>();
  /** What the box has, as far as is known here. */
  const inBox = new Set<string>();
  let staffNo = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending = false;

  const storedKey = () => `${STORED_KEY}.${staffNo}`;

  function store(): void {
    if (!staffNo) return;
    const entries = Object.fromEntries(
      [...written].map(([key, { body, changed_ms }]) => [key, { form: JSON.parse(body) as Form, changed_ms }]),
    );
    const stored: Stored = { entries, gone: [...gone].slice(-GONE_KEPT) };
    try {
      globalThis.sessionStorage?.setItem(storedKey(), JSON.stringify(stored));
    } catch {
      // The tab's storage is full or forbidden: the box still keeps it.
    }
  }

  /** Notes what has changed since the last time. */
  function note(): void {
    for (const [key, form] of forms) {
      const body = JSON.stringify(form);
      if (written.get(key)?.body === body) continue;
      written.set(key, { body, changed_ms: boxNow_ms() });
      gone.delete(key);
      unsent.add(key);
    }
    for (const key of [...written.keys()]) {
      if (forms.has(key)) continue;
      written.delete(key);
      unsent.add(key);
      gone.add(key);
    }
    if (!unsent.size) return;
    store();
    clearTimeout(timer);
    timer = setTimeout(() => void send(), SEND_AFTER_MS);
  }
  watch(forms, note, { deep: true, flush: "sync" });

  /** Brings to the box what it does not know yet; what fails is brought again with the next change, or by `catchUp`. */
  async function send(): Promise<void> {
    if (sending || !staffNo) return;
    sending = true;
    const whose = staffNo;
    try {
      for (const key of [...unsent]) {
        const body = written.get(key)?.body;
        try {
          if (body !== undefined) {
            await keepDraft(PREFIX + key, body);
            inBox.add(key);
          } else if (inBox.delete(key)) await dropDraft(PREFIX + key);
        } catch (error) {
          const settled =
            error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 401;
          if (!settled) {
            if (body === undefined) inBox.add(key);
            return; // away or logged out
          }
        }
        if (whose !== staffNo) return;
        if (written.get(key)?.body !== body) continue; // typed on meanwhile
        unsent.delete(key);
        gone.delete(key);
      }
      store();
    } finally {
      sending = false;
    }
  }

  /** Takes over what this person typed in this tab, then what the box keeps of them. */
  async function begin(whose: string): Promise<void> {
    if (whose !== staffNo) {
      clear();
      staffNo = whose;
      const stored = read(storedKey());
      for (const key of stored.gone) gone.add(key);
      for (const [key, { form, changed_ms }] of Object.entries(stored.entries)) {
        if (!isForm(form)) continue;
        written.set(key, { body: JSON.stringify(form), changed_ms });
        forms.set(key, form);
        unsent.add(key);
      }
      for (const key of gone) unsent.add(key);
    }
    await catchUp();
  }

  /** The box is there (again): what is newer there is taken over, what is newer here is sent. */
  async function catchUp(): Promise<void> {
    const whose = staffNo;
    const drafts = await readDrafts().catch(() => null);
    if (drafts === null || whose !== staffNo) return;
    for (const { key: name, body, changed_at } of drafts) {
      const key = name.slice(PREFIX.length);
      if (!name.startsWith(PREFIX)) continue;
      inBox.add(key);
      if (gone.has(key)) continue;
      if (unsent.has(key) && (written.get(key)?.changed_ms ?? 0) >= Date.parse(changed_at)) continue;
      const form = parsed(body);
      if (!form || written.get(key)?.body === body) continue;
      written.set(key, { body, changed_ms: Date.parse(changed_at) });
      forms.set(key, form);
    }
    store();
    await send();
  }

  /** Forgets everything here; the box and the tab's storage keep it for its owner. */
  function clear(): void {
    clearTimeout(timer);
    staffNo = "";
    written.clear();
    unsent.clear();
    gone.clear();
    inBox.clear();
    forms.clear();
  }

  /** The forms of one kind, by what each is about. */
  function part<F extends Form>(kind: string) {
    const at = (id: string) => `${kind}.${id}`;
    const ids = () => [...forms.keys()].flatMap((key) => (key.startsWith(at("")) ? [key.slice(at("").length)] : []));
    return {
      has: (id: string) => forms.has(at(id)),
      get: (id: string) => forms.get(at(id)) as F | undefined,
      set: (id: string, form: F) => void forms.set(at(id), form),
      delete: (id: string) => forms.delete(at(id)),
      ids,
      get size() {
        return ids().length;
      },
    };
  }

  return { forms, begin, catchUp, send, clear, part };
});
