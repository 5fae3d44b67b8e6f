import "element-plus/theme-chalk/base.css";
import "element-plus/theme-chalk/dark/css-vars.css";
import "./styles/tokens.css";
import "./styles/base.css";
import { until } from "@vueuse/core";
import { createPinia } from "pinia";
import { createApp } from "vue";
import { START_LOCATION } from "vue-router";
import App from "./App.vue";
import { whenFactorDue, whenLoggedOut } from "./api/http";
import { i18n, spoken } from "./i18n";
import { showPageChanged, watchParts } from "./pageChanged";
import { router } from "./router";
import { useSessionStore } from "./stores/session";
import "./theme";

watchParts(router);
const pinia = createPinia();
const session = useSessionStore(pinia);
whenLoggedOut(() => session.lose());
whenFactorDue(() => {
  session.factorDue = true;
});

const RETRY_MS = 2000;
/** Who is here is asked while the texts are still on their way, and again while the box is away. */
async function ask(): Promise<void> {
  try {
    await session.resume();
  } catch {
    setTimeout(() => void ask(), RETRY_MS);
  }
}
void ask();
/** Nobody waits at the log-in for the code of the page that comes behind it. */
router.beforeEach((_to, from) => from !== START_LOCATION || until(() => session.ready).toBe(true));
const app = createApp(App).use(pinia).use(i18n).use(router);
/** Without its words the page stays empty but for the notice. */
void spoken.then(() => app.mount("#app"), showPageChanged);
