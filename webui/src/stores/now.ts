/** The box's present time, one tick a second shared by everything that counts up. */

import { createSharedComposable, useNow } from "@vueuse/core";
import { computed } from "vue";
import { boxNow_ms } from "@/api/http";

export const useBoxNow = createSharedComposable(() => {
  const tick = useNow({ interval: 1000 });
  return computed(() => (tick.value ? boxNow_ms() : 0));
});
