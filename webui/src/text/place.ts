/** Where a call's number belongs, in the language of the page. */

import type { Call } from "@/api/types";
import { locale } from "@/i18n";

export const placeOf = (call: Call): string =>
  (locale.value === "en" ? (call.number_place_en ?? call.number_place) : call.number_place) ?? "";
