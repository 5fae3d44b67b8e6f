/** Practice beside real lines: whether it is on, turned on and off. */

import { request } from "./http";

/** `needed`: the box works with real lines; else simulated ones run by themselves. `until` null: it is not on. */
export interface Practice {
  needed: boolean;
  until: string | null;
  since: string | null;
  lines: number | null;
  staff_no: string | null;
  name: string | null;
}

export const readPractice = () => request<Practice>("GET", "/practice");
export const startPractice = (minutes: number, lines: number) =>
  request<Practice>("PUT", "/practice", { body: { minutes, lines } });
export const endPractice = () => request<void>("DELETE", "/practice");
