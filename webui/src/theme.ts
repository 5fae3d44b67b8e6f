/** Dark or light: as the system prefers until the operator chooses. */

import { useColorMode } from "@vueuse/core";

/** It would hold transitions back by a style of its own, which the Content-Security-Policy refuses. */
export const theme = useColorMode({ storageKey: "tapdeck.theme", disableTransition: false });
