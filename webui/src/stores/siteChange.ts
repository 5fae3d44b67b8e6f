/** Whether somebody has saved other settings by which telephone numbers are read. */

import { watch } from "vue";
import type { ParameterForm } from "./parameterForm";

const READ_BY = ["site_country", "site_area_code", "outside_line_prefix"];

/** Calls `changed` after each saving that changed one of them; what is read from the box at first is no change. */
export function onSiteChange(form: Pick<ParameterForm, "settings" | "loading">, changed: () => void): void {
  let known: string | null = null;
  watch(
    () => (form.loading || !form.settings.size ? null : READ_BY.map((key) => form.settings.get(key)?.value).join("\n")),
    (now) => {
      if (now === null) return;
      const before = known;
      known = now;
      if (before !== null && before !== now) changed();
    },
    { immediate: true },
  );
}
