/** Dark or light: as the system prefers until the operator chooses. */

import { useColorMode } from "@vueuse/core";

export const theme = useColorMode({ storageKey: "tapdeck.theme" });
