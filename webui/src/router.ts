/** The places of the UI. */

import { createRouter, createWebHashHistory } from "vue-router";

export const router = createRouter({
  // The box serves files only: a hash keeps every place reachable by reload without server rules.
  history: createWebHashHistory(),
  routes: [
    { path: "/", redirect: "/desk" },
    { path: "/desk", name: "desk", component: () => import("@/pages/DeskPage.vue") },
    { path: "/lines", name: "lines", component: () => import("@/pages/LinesPage.vue") },
    { path: "/calls", name: "calls", component: () => import("@/pages/CallsPage.vue") },
    { path: "/customers", name: "customers", component: () => import("@/pages/CustomersPage.vue") },
    { path: "/storage", name: "storage", component: () => import("@/pages/StoragePage.vue") },
    { path: "/:rest(.*)*", redirect: "/desk" },
  ],
});
