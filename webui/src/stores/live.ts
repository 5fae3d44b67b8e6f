/** Joins the event stream to the stores: snapshot first, then every event from its position on. */

import { useEventListener } from "@vueuse/core";
import { defineStore } from "pinia";
import { ref } from "vue";
import { eventsUrl, readPopups, readSession } from "@/api/endpoints";
import { EventStream, type Reachable, retryDelay_ms, type StreamState } from "@/api/eventStream";
import { ApiError } from "@/api/http";
import type { OfficeEvent, Popup, StreamEvent } from "@/api/types";
import { groupNumber } from "@/text/phoneNumber";
import { useAgentsStore } from "./agents";
import { useAlertsStore } from "./alerts";
import { useBoardStore } from "./board";
import { useCallHoldsStore } from "./callHolds";
import { useCallNotesStore } from "./callNotes";
import { partyNumber, useCallsStore } from "./calls";
import { useCallTagsStore } from "./callTags";
import { useCustomersStore } from "./customers";
import { useKeptStore } from "./kept";
import { useListeningStore } from "./listening";
import { useNotesStore } from "./notes";
import { tellOffice } from "./officeNews";
import { usePlayerStore } from "./player";
import { usePopupsStore } from "./popups";
import { usePracticeStore } from "./practice";
import { useSessionStore } from "./session";
import { useSticksStore } from "./sticks";

const reloaders = new Set<() => unknown>();

/** Registers what a list does when everything has to be read again; returns how to unregister. */
export function onReload(reload: () => unknown): () => void {
  reloaders.add(reload);
  return () => reloaders.delete(reload);
}

export const useLiveStore = defineStore("live", () => {
  const session = useSessionStore();
  const board = useBoardStore();
  const calls = useCallsStore();
  const callNotes = useCallNotesStore();
  const callTags = useCallTagsStore();
  const callHolds = useCallHoldsStore();
  const popups = usePopupsStore();
  const customers = useCustomersStore();
  const player = usePlayerStore();
  const listening = useListeningStore();
  const kept = useKeptStore();
  const notes = useNotesStore();
  const agents = useAgentsStore();
  const alerts = useAlertsStore();
  const practice = usePracticeStore();
  const sticks = useSticksStore();
  const state = ref<StreamState>("connecting");
  let wanted = false;
  let attempt = 0;
  let lastStaffNo = "";
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Who answers, and whether it still takes us for who we are: the tabs of a browser share one session. */
  async function probe(): Promise<Reachable> {
    try {
      const fresh = await readSession();
      if (fresh.operator.staff_no !== session.operator?.staff_no) return "logged_out";
      session.take(fresh);
      return "ok";
    } catch (error) {
      return error instanceof ApiError && error.status === 401 ? "logged_out" : "away";
    }
  }

  function take(event: StreamEvent): void {
    if (event.type === "board") board.takeReadings(event.data.channels);
    else if (event.type === "call") {
      calls.arrive(event.data);
      board.takeCall(event.data);
    } else if (event.type === "popup") takePopup(event.data);
    else if (event.type === "office") takeOffice(event.data);
    else if (event.type === "recording") calls.putRecording(event.data.call_id, event.data.recording);
    else if (event.type === "line") board.takeLine(event.data.channel, event.data.kind === "line_present");
    else if (event.type === "card") refreshBoard();
    else if (event.type === "medium") sticks.take(event.data);
    else reloadAll();
  }

  function takePopup(popup: Popup): void {
    popups.take(popup);
    const name = popup.customers.map((one) => one.name || one.company).find(Boolean) ?? popup.call.caller_name ?? "";
    void alerts.announce(popup.call, groupNumber(partyNumber(popup.call)) || name, name);
  }

  function takeOffice(event: OfficeEvent): void {
    tellOffice(event);
    if (event.kind === "channel_changed") void board.load();
    if (event.kind === "practice_changed") practice.refresh();
    if (event.call_id === null) return;
    const { staff_no, name } = event.data;
    if (event.kind === "call_taken") popups.noteTaken(event.call_id, String(staff_no), String(name ?? ""));
    else if (event.kind === "call_released") popups.noteReleased(event.call_id);
    else if (event.kind === "popup_handed") popups.noteHanded(event.call_id, String(event.data.by ?? ""));
    else if (event.kind === "popup_acknowledged") popups.noteSeen(event.call_id);
  }

  function refreshBoard(): void {
    void board.load();
    void board.loadCards();
  }

  /** The position was unknown to the box (its store was rebuilt): what is known may be wrong. */
  function reloadAll(): void {
    calls.clear();
    popups.clear();
    reloadLists();
    void start();
  }

  const stream = new EventStream({
    open: (position) => new EventSource(eventsUrl(position)),
    probe,
    onEvent: take,
    onState: (fresh) => {
      state.value = fresh;
    },
    onResumed: () => {
      practice.refresh();
      void catchUp();
    },
    onLoggedOut: () => session.lose(),
  });

  /** Reads the snapshot and opens the stream; tries again while the box is away. */
  async function start(): Promise<void> {
    wanted = true;
    clearTimeout(timer);
    forgetOthers();
    const open = popups.openBefore();
    try {
      const snapshot = await readPopups();
      if (!wanted) return;
      snapshot.popups.forEach(popups.take);
      practice.refresh();
      stream.start(snapshot.position);
      sticks.refresh();
      attempt = 0;
      void begin(open);
    } catch {
      if (!wanted) return;
      state.value = "reconnecting";
      timer = setTimeout(() => void start(), retryDelay_ms(attempt));
      attempt += 1;
    }
  }

  /** What was typed is there again, then the cards to which it belongs, then what waits is saved. */
  async function begin(open: string[]): Promise<void> {
    void agents.loadOwn();
    await kept.begin(session.operator?.staff_no ?? "");
    await popups.reopen(open);
    await notes.catchUp();
  }

  async function catchUp(): Promise<void> {
    await kept.catchUp();
    await notes.catchUp();
  }

  function stop(): void {
    wanted = false;
    clearTimeout(timer);
    stream.stop();
    listening.stop();
  }

  /** Another operator must not see what the last one saw; the same one finds typed text again. */
  function forgetOthers(): void {
    const staffNo = session.operator?.staff_no ?? "";
    if (lastStaffNo && lastStaffNo !== staffNo) {
      calls.clear();
      callNotes.clear();
      callTags.clear();
      callHolds.clear();
      popups.clear();
      board.clear();
      practice.clear();
      customers.clear();
      agents.clear();
      kept.clear();
      sticks.clear();
      player.close();
    }
    lastStaffNo = staffNo;
  }

  useEventListener(globalThis.window, "online", () => stream.hurry());
  useEventListener(globalThis.document, "visibilitychange", async () => {
    stream.hurry();
    if (document.hidden || !wanted) return;
    if ((await probe()) === "logged_out" && wanted) session.lose();
  });

  /** Lists that stood still for a while are read again. */
  function reloadLists(): void {
    for (const reload of reloaders) reload();
  }

  return { state, start, stop, take, reloadLists };
});
