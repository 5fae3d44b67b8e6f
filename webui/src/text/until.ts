/** Until when something lasts, as people say it: its time, also in the last minute. */

import { computed } from "vue";
import { useI18n } from "vue-i18n";
import { useBoxNow } from "@/stores/now";
import { sayMoment } from "./moment";

export function useUntil(at: () => string | null) {
  const { t, locale } = useI18n();
  const now = useBoxNow();
  return computed(() => {
    const iso = at();
    if (iso === null) return "";
    const { key, time, date } = sayMoment(iso, now.value, locale.value);
    return t(`moment.${key === "now" ? "today" : key}`, { time, date });
  });
}
