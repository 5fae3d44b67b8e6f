/** The places of the UI. */

import { createRouter, createWebHashHistory } from "vue-router";

export const router = createRouter({
  // The box serves files only: a hash keeps every place reachable by reload without server rules.
  history: createWebHashHistory(),
  routes: [
    { path: "/", redirect: "/desk" },
    { path: "/desk", name: "desk", component: () => import("@/pages/DeskPage.vue") },
    { path: "/my-line", name: "myLine", component: () => import("@/pages/MyLinePage.vue") },
    { path: "/lines", name: "lines", component: () => import("@/pages/LinesPage.vue") },
    { path: "/calls", name: "calls", component: () => import("@/pages/CallsPage.vue") },
    { path: "/customers", name: "customers", component: () => import("@/pages/CustomersPage.vue") },
    { path: "/communications", name: "communications", component: () => import("@/pages/CommunicationsPage.vue") },
    { path: "/reports", name: "reports", component: () => import("@/pages/ReportsPage.vue") },
    { path: "/first-start", name: "firstStart", component: () => import("@/pages/FirstStartPage.vue") },
    {
      path: "/settings",
      component: () => import("@/pages/SettingsPage.vue"),
      children: [
        { path: "", name: "settings", component: () => import("@/pages/settings/SettingsHome.vue") },
        { path: "system", name: "system", component: () => import("@/pages/settings/SystemSettings.vue") },
        { path: "channels", name: "channels", component: () => import("@/pages/settings/ChannelSettings.vue") },
        { path: "line-test", name: "lineTest", component: () => import("@/pages/settings/LineTestPage.vue") },
        { path: "storage", name: "storage", component: () => import("@/pages/StoragePage.vue") },
        { path: "sticks", name: "sticks", component: () => import("@/pages/settings/SticksPage.vue") },
        { path: "backup", name: "backup", component: () => import("@/pages/settings/BackupPage.vue") },
        { path: "evidence", name: "evidence", component: () => import("@/pages/settings/EvidencePage.vue") },
        { path: "practice", name: "practice", component: () => import("@/pages/settings/PracticePage.vue") },
        { path: "alarms", name: "alarms", component: () => import("@/pages/settings/AlarmsPage.vue") },
        { path: "operators", name: "operators", component: () => import("@/pages/settings/OperatorsPage.vue") },
        { path: "groups", name: "groups", component: () => import("@/pages/settings/GroupsPage.vue") },
        { path: "rights", name: "rights", component: () => import("@/pages/settings/RightsPage.vue") },
        { path: "hand-overs", name: "handOvers", component: () => import("@/pages/settings/HandOversPage.vue") },
        { path: "sessions", name: "sessions", component: () => import("@/pages/settings/SessionsPage.vue") },
        { path: "security", name: "security", component: () => import("@/pages/settings/SecurityPage.vue") },
        {
          path: "custom-fields",
          name: "customFields",
          component: () => import("@/pages/settings/CustomFieldsPage.vue"),
        },
        { path: "phrases", name: "phrases", component: () => import("@/pages/settings/PhrasesPage.vue") },
        { path: "jobs", name: "jobs", component: () => import("@/pages/settings/JobsPage.vue") },
        { path: "erasure", name: "erasure", component: () => import("@/pages/settings/ErasurePage.vue") },
        { path: "audit", name: "audit", component: () => import("@/pages/settings/AuditPage.vue") },
      ],
    },
    { path: "/:rest(.*)*", redirect: "/desk" },
  ],
});
