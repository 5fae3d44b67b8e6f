/** What people are called whose staff numbers stand in records: asked for once, many at a time. */

import { defineStore } from "pinia";
import { reactive, watch } from "vue";
import { readPeople } from "@/api/office";
import { useSessionStore } from "./session";

const MOST_AT_ONCE = 100;
/** So long more numbers are gathered: a table tells its rows' within a frame. */
const GATHERED_MS = 20;
const STAFF_NO = /^[0-9A-Za-z]{1,16}$/;

export const usePeopleStore = defineStore("people", () => {
  const session = useSessionStore();
  const names = reactive(new Map<string, string>());
  let asked = new Set<string>();
  let waiting: string[] = [];
  watch(
    () => session.operator?.staff_no,
    () => {
      names.clear();
      asked = new Set();
      waiting = [];
    },
  );

  async function ask(): Promise<void> {
    while (waiting.length) {
      const some = waiting.splice(0, MOST_AT_ONCE);
      try {
        for (const [staffNo, name] of Object.entries((await readPeople(some)).names)) names.set(staffNo, name);
      } catch {
        for (const one of some) asked.delete(one); // whoever shows it next asks again
      }
    }
  }

  /** "王芳 21": name and staff number; the number alone until its name is known. `name`: as an answer told it. */
  function who(staffNo: string | null | undefined, name?: string | null): string {
    if (!staffNo) return name ?? "";
    const own = staffNo === session.operator?.staff_no ? session.operator.name : undefined;
    const known = name || own || names.get(staffNo);
    if (known) return `${known} ${staffNo}`;
    if (session.ready && STAFF_NO.test(staffNo) && !asked.has(staffNo)) {
      asked.add(staffNo);
      if (waiting.push(staffNo) === 1) setTimeout(() => void ask(), GATHERED_MS);
    }
    return staffNo;
  }
  return { who };
});
