import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type EventSourceLike,
  EventStream,
  FIRST_DELAY_MS,
  isOlder,
  LONGEST_DELAY_MS,
  type Reachable,
  retryDelay_ms,
  SILENCE_LIMIT_MS,
  type StreamState,
} from "@/api/eventStream";
import type { StreamEvent } from "@/api/types";
import { aCall } from "./samples";

/** One connection as a browser would hold it; the test speaks for the server. */
class Connection implements EventSourceLike {
  readyState = 0;
  onopen: ((event: Event) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  private readonly listeners = new Map<string, (event: MessageEvent<string>) => void>();

  constructor(readonly after: string) {}

  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.listeners.set(type, listener);
  }

  close(): void {
    this.readyState = 2;
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.(new Event("open"));
  }

  send(type: string, data: unknown, lastEventId = ""): void {
    this.listeners.get(type)?.({ data: JSON.stringify(data), lastEventId } as MessageEvent<string>);
  }

  /** Dropped by the network: the browser reconnects by itself. */
  drop(): void {
    this.readyState = 0;
    this.onerror?.(new Event("error"));
  }

  /** Answered with an HTTP error: the browser gives up for good. */
  refuse(): void {
    this.readyState = 2;
    this.onerror?.(new Event("error"));
  }
}

let connections: Connection[];
let events: StreamEvent[];
let states: StreamState[];
let resumed: number;
let loggedOut: number;
let reachable: Reachable;
let stream: EventStream;
const newest = () => connections.at(-1) as Connection;

beforeEach(() => {
  vi.useFakeTimers();
  connections = [];
  events = [];
  states = [];
  resumed = 0;
  loggedOut = 0;
  reachable = "ok";
  stream = new EventStream({
    open: (position) => {
      const connection = new Connection(position);
      connections.push(connection);
      return connection;
    },
    probe: async () => reachable,
    onEvent: (event) => events.push(event),
    onState: (state) => states.push(state),
    onResumed: () => {
      resumed += 1;
    },
    onLoggedOut: () => {
      loggedOut += 1;
    },
  });
});

afterEach(() => {
  stream.stop();
  vi.useRealTimers();
});

describe("positions", () => {
  it("are compared within an epoch only", () => {
    expect(isOlder("a1-9", "a1-10")).toBe(true);
    expect(isOlder("a1-10", "a1-10")).toBe(false);
    expect(isOlder("a1-11", "a1-10")).toBe(false);
    expect(isOlder("b2-1", "a1-10")).toBe(false);
    expect(isOlder("0190-ab-9", "0190-ab-10")).toBe(true);
  });
});

describe("the event stream", () => {
  it("brings what people did, wherever the two halves of its position stand", () => {
    stream.start("e1-7.o1-2");
    newest().accept();
    const told = { kind: "call_taken", at: "2026-11-21T09:05:02.000Z", call_id: "c1", data: { staff_no: "1002" } };
    newest().send("office", told, "e1-7.o1-3");
    newest().send("call", aCall("c1", { state: "talking" }), "e1-8.o1-3");
    newest().send("office", { ...told, kind: "call_released" }, "e1-8.o1-4");
    expect(events.map((event) => (event.type === "office" ? event.data.kind : event.type))).toEqual([
      "call_taken",
      "call",
      "call_released",
    ]);
    expect(stream.position).toBe("e1-8.o1-4");
  });

  it("opens after the snapshot's position and hands events on in order", () => {
    stream.start("e1-5");
    expect(newest().after).toBe("e1-5");
    newest().accept();
    newest().send("call", aCall("c1"), "e1-6");
    newest().send("board", { channels: [] });
    expect(events.map((event) => event.type)).toEqual(["call", "board"]);
    expect(states).toEqual(["connecting", "live"]);
    expect(stream.position).toBe("e1-6");
    expect(resumed).toBe(0);
  });

  it("lets a call and its pop-up share a position, but drops what lies behind it", () => {
    stream.start("e1-5");
    newest().accept();
    newest().send("call", aCall("c1"), "e1-8");
    newest().send("popup", { call: aCall("c1") }, "e1-8");
    newest().send("popup", { call: aCall("c0") }, "e1-7");
    expect(events.map((event) => event.type)).toEqual(["call", "popup"]);
  });

  it("leaves a dropped connection to the browser and reads the board again afterwards", () => {
    stream.start("e1-5");
    newest().accept();
    newest().drop();
    expect(states.at(-1)).toBe("reconnecting");
    newest().accept();
    expect(connections).toHaveLength(1);
    expect(states.at(-1)).toBe("live");
    expect(resumed).toBe(1);
  });

  it("reopens after the last position when the browser has given up", async () => {
    stream.start("e1-5");
    newest().accept();
    newest().send("call", aCall("c1"), "e1-9");
    newest().refuse();
    await vi.advanceTimersByTimeAsync(FIRST_DELAY_MS);
    expect(connections).toHaveLength(2);
    expect(newest().after).toBe("e1-9");
    newest().accept();
    expect(resumed).toBe(1);
  });

  it("waits longer and longer while the box is away, and does not open connections in vain", async () => {
    reachable = "away";
    stream.start("e1-5");
    newest().refuse();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connections).toHaveLength(1);
    expect(states.at(-1)).toBe("reconnecting");
    reachable = "ok";
    await vi.advanceTimersByTimeAsync(LONGEST_DELAY_MS);
    expect(connections).toHaveLength(2);
    expect([0, 1, 2, 20].map(retryDelay_ms)).toEqual([500, 1000, 2000, LONGEST_DELAY_MS]);
  });

  it("tries at once when told that the network is back", async () => {
    reachable = "away";
    stream.start("e1-5");
    newest().refuse();
    await vi.advanceTimersByTimeAsync(60_000);
    reachable = "ok";
    stream.hurry();
    await vi.advanceTimersByTimeAsync(0);
    expect(connections).toHaveLength(2);
  });

  it("ends the session when nobody is logged in any more", async () => {
    reachable = "logged_out";
    stream.start("e1-5");
    newest().refuse();
    await vi.advanceTimersByTimeAsync(FIRST_DELAY_MS * 10);
    expect(loggedOut).toBe(1);
    expect(connections).toHaveLength(1);
  });

  it("replaces a connection that has gone silent", async () => {
    stream.start("e1-5");
    newest().accept();
    const first = newest();
    await vi.advanceTimersByTimeAsync(SILENCE_LIMIT_MS + FIRST_DELAY_MS);
    expect(connections).toHaveLength(2);
    expect(first.readyState).toBe(2);
    newest().accept();
    await vi.advanceTimersByTimeAsync(SILENCE_LIMIT_MS - 1);
    newest().send("board", { channels: [] });
    await vi.advanceTimersByTimeAsync(SILENCE_LIMIT_MS - 1);
    expect(connections).toHaveLength(2);
  });

  it("goes on from the position of a reset", async () => {
    stream.start("e1-500");
    newest().accept();
    newest().send("reset", { position: "e2-3" });
    newest().send("call", aCall("c1"), "e2-4");
    expect(events.map((event) => event.type)).toEqual(["reset", "call"]);
    newest().refuse();
    await vi.advanceTimersByTimeAsync(FIRST_DELAY_MS);
    expect(newest().after).toBe("e2-4");
  });

  it("is silent after stop", async () => {
    stream.start("e1-5");
    newest().refuse();
    stream.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(connections).toHaveLength(1);
  });
});
