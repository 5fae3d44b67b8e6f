/**
 * The live event stream of the box, resumed by position.
 *
 * A browser's EventSource reconnects by itself after a dropped connection, but gives up for good after an HTTP
 * error (a proxy's 502, a restart that refuses connections), and cannot tell a dead peer from a quiet line. So this
 * watches it: closed or silent for too long, it is opened anew after the last seen position, with growing delay.
 */

import type { StreamEvent, StreamEventType } from "./types";

export type StreamState = "connecting" | "live" | "reconnecting";
/** Who answers while the stream is down: the box, the box without a session of ours, or nobody. */
export type Reachable = "ok" | "logged_out" | "away";

/** The part of EventSource that is used, so that tests can play the server. */
export interface EventSourceLike {
  readonly readyState: number;
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface StreamOptions {
  open: (position: string) => EventSourceLike;
  probe: () => Promise<Reachable>;
  onEvent: (event: StreamEvent) => void;
  onState: (state: StreamState) => void;
  /** The stream is back after a gap: readings that carry no position have to be read again. */
  onResumed: () => void;
  onLoggedOut: () => void;
}

const TYPES: StreamEventType[] = ["call", "popup", "office", "recording", "line", "card", "medium", "board", "reset"];
const CLOSED = 2;
export const FIRST_DELAY_MS = 500;
export const LONGEST_DELAY_MS = 10_000;
/** Longer than two heartbeats of the server; reopening a healthy quiet stream costs one request. */
export const SILENCE_LIMIT_MS = 40_000;

function split(position: string): { epoch: string; id: number } {
  const dash = position.lastIndexOf("-");
  return { epoch: position.slice(0, dash), id: Number(position.slice(dash + 1)) };
}

/** True if `position` lies before `last` in the same epoch, so that its event has been handled already. */
export function isOlder(position: string, last: string): boolean {
  const one = split(position);
  const two = split(last);
  return one.epoch === two.epoch && one.id < two.id;
}

/** The growing delay before the next attempt, in ms. */
export function retryDelay_ms(attempt: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** attempt, LONGEST_DELAY_MS);
}

export class EventStream {
  private source: EventSourceLike | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private gap = false;
  private last = "";

  constructor(private readonly options: StreamOptions) {}

  /** The last position seen: where a new connection goes on. */
  get position(): string {
    return this.last;
  }

  /** Opens the stream after `position`; a running one is closed first. */
  start(position: string): void {
    this.stop();
    this.last = position;
    this.options.onState("connecting");
    this.connect();
  }

  stop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.timer = undefined;
    this.source?.close();
    this.source = null;
    this.attempt = 0;
    this.gap = false;
  }

  /** Tries at once instead of waiting for the delay: the network or the tab has come back. */
  hurry(): void {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.attempt = 0;
    void this.retry();
  }

  private connect(): void {
    const source = this.options.open(this.last);
    this.source = source;
    source.onopen = () => this.opened();
    source.onerror = () => this.failed(source);
    for (const type of TYPES) source.addEventListener(type, (event) => this.received(type, event));
    this.listenForSilence();
  }

  private opened(): void {
    this.attempt = 0;
    this.options.onState("live");
    this.listenForSilence();
    if (this.gap) {
      this.gap = false;
      this.options.onResumed();
    }
  }

  private failed(source: EventSourceLike): void {
    if (source !== this.source) return;
    this.gap = true;
    this.options.onState("reconnecting");
    if (source.readyState === CLOSED) this.retryLater();
  }

  private retryLater(): void {
    clearTimeout(this.silence);
    clearTimeout(this.timer);
    this.source?.close();
    this.timer = setTimeout(() => void this.retry(), retryDelay_ms(this.attempt));
    this.attempt += 1;
  }

  private async retry(): Promise<void> {
    this.timer = undefined;
    const source = this.source;
    const reachable = await this.options.probe();
    if (source !== this.source || source === null) return;
    if (reachable === "ok") this.connect();
    else if (reachable === "away") this.retryLater();
    else {
      this.stop();
      this.options.onLoggedOut();
    }
  }

  private received(type: StreamEventType, event: MessageEvent<string>): void {
    this.listenForSilence();
    const position = event.lastEventId;
    const data = JSON.parse(event.data) as never;
    if (type === "reset") this.last = (data as { position: string }).position;
    else if (type !== "board" && position) {
      // Equal positions are let through: one row of the event log may tell of a call and of its pop-up.
      if (isOlder(position, this.last)) return;
      this.last = position;
    }
    this.options.onEvent({ type, data });
  }

  private listenForSilence(): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      this.gap = true;
      this.source?.close();
      this.retryLater();
    }, SILENCE_LIMIT_MS);
  }
}
