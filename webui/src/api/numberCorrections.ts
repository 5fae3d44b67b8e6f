/** Numbers of calls heard while the site's settings were wrong, read again by those of now. */

import { request } from "./http";

/** From when to when numbers are read by other settings than those they were heard by. */
export interface NumberCorrection {
  from_at: string;
  until_at: string;
  site_country: string;
  site_area_code: string;
  outside_line_prefix: string;
}

export interface NumberCorrections {
  number_corrections: NumberCorrection[];
  /** All calls of then are found by their true numbers. */
  done: boolean;
}

export const readNumberCorrections = () => request<NumberCorrections>("GET", "/number-corrections");
export const correctNumbers = (since: Date) =>
  request<NumberCorrections>("POST", "/number-corrections", { body: { wrong_since: since.toISOString() } });
