/** Giving a channel a name, where somebody looks at it. */

import { ElMessageBox } from "element-plus";
import { changeSettings } from "@/api/office";
import type { Channel } from "@/api/types";
import { useBoardStore } from "@/stores/board";
import { toast } from "@/stores/toasts";
import { errorText } from "@/text/errors";

type Translate = (key: string, values?: Record<string, unknown>) => string;

export async function askChannelName(t: Translate, channel: Channel): Promise<void> {
  const asked = await ElMessageBox.prompt(t("lines.nameHelp"), t("lines.rename", { n: channel.number }), {
    confirmButtonText: t("app.save"),
    cancelButtonText: t("app.cancel"),
    inputValue: channel.name,
    inputPlaceholder: t("lines.nameHint"),
    inputValidator: (name) => (name ?? "").length <= 60,
  }).catch(() => null);
  if (asked === null) return;
  try {
    await changeSettings(channel.number, { name: (asked.value ?? "").trim() }, []);
    await useBoardStore().load();
    toast.success(t("lines.renamed"));
  } catch (error) {
    toast.error(errorText(error));
  }
}
