/** Agent states: one's own, and those of the people whom one sees at work. */

import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { readAgentState, readAgents, setAgentState } from "@/api/desk";
import type { Agent, AgentState, AgentStateName, Colleague } from "@/api/deskTypes";
import type { OfficeEvent } from "@/api/types";
import { onOffice } from "./officeNews";
import { useSessionStore } from "./session";

export const useAgentsStore = defineStore("agents", () => {
  const session = useSessionStore();
  const own = ref<AgentState | null>(null);
  const agents = ref<Agent[]>([]);
  const colleagues = ref<Colleague[]>([]);
  const loaded = ref(false);
  const problem = ref<unknown>(null);

  /** The others at work: with their state since when, for those whom one sees; else the bare state of colleagues. */
  const others = computed<(Colleague & Partial<Agent>)[]>(() => {
    const seen = agents.value.filter((one) => one.state !== null && one.staff_no !== session.operator?.staff_no);
    const names = new Set(seen.map((one) => one.staff_no));
    return [...seen, ...colleagues.value.filter((one) => !names.has(one.staff_no))];
  });

  async function loadOwn(): Promise<void> {
    own.value = await readAgentState().catch(() => own.value);
  }

  async function load(): Promise<void> {
    try {
      const answer = await readAgents();
      agents.value = answer.agents;
      colleagues.value = answer.colleagues;
      loaded.value = true;
      problem.value = null;
    } catch (error) {
      problem.value = error;
    }
  }

  /** Sets one's own state. Throws ApiError. */
  async function change(state: AgentStateName, reason = ""): Promise<void> {
    own.value = await setAgentState(state, reason);
  }

  function take({ data }: OfficeEvent): void {
    const { staff_no, state, reason, since_ms } = data as {
      staff_no: string;
      state: AgentStateName | null;
      reason: string | null;
      since_ms: number | null | undefined;
    };
    const since = typeof since_ms === "number" ? new Date(since_ms).toISOString() : null;
    if (staff_no === session.operator?.staff_no) {
      if (state && since) own.value = { staff_no, state, reason: reason ?? "", since };
      return;
    }
    const known = agents.value.some((one) => one.staff_no === staff_no);
    agents.value = agents.value.map((one) =>
      one.staff_no === staff_no ? { ...one, state, reason: reason ?? "", since } : one,
    );
    if (!known && loaded.value) void load();
  }
  onOffice("agent_state", take);

  function clear(): void {
    own.value = null;
    agents.value = [];
    colleagues.value = [];
    loaded.value = false;
  }

  return { own, agents, colleagues, others, loaded, problem, loadOwn, load, change, clear };
});
