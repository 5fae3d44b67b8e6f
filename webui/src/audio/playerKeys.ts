/** What the keys do while the player has the focus; one table for the keys and for the list that people read. */

import type { Wave } from "./useWave";

export interface PlayerKey {
  /** As `KeyboardEvent.key` names it; letters in lower case. */
  keys: string[];
  /** As people read it. */
  shown: string;
  /** Text under `playerKey`. */
  text: string;
  shift?: boolean;
  /** Without it, whoever shows the player does it. */
  act?: (wave: Wave) => void;
}

const SKIP_S = 5;
const STEP_S = 1;

export const PLAYER_KEYS: PlayerKey[] = [
  { keys: [" ", "k"], shown: "Space", text: "toggle", act: (wave) => wave.toggle() },
  { keys: ["ArrowLeft"], shown: "←", text: "back", act: (wave) => wave.skip(-SKIP_S) },
  { keys: ["ArrowRight"], shown: "→", text: "forward", act: (wave) => wave.skip(SKIP_S) },
  { keys: ["ArrowLeft"], shift: true, shown: "Shift ←", text: "backStep", act: (wave) => wave.skip(-STEP_S) },
  { keys: ["ArrowRight"], shift: true, shown: "Shift →", text: "forwardStep", act: (wave) => wave.skip(STEP_S) },
  { keys: ["Home"], shown: "Home", text: "beginning", act: (wave) => wave.seek(0) },
  { keys: ["End"], shown: "End", text: "end", act: (wave) => wave.seek(wave.duration_ms / 1000) },
  { keys: ["ArrowUp"], shown: "↑", text: "faster", act: (wave) => wave.setSpeed(1) },
  { keys: ["ArrowDown"], shown: "↓", text: "slower", act: (wave) => wave.setSpeed(-1) },
  { keys: ["+", "="], shown: "+", text: "zoomIn", act: (wave) => wave.setZoom(1) },
  { keys: ["-"], shown: "−", text: "zoomOut", act: (wave) => wave.setZoom(-1) },
  { keys: ["["], shown: "[", text: "loopFrom", act: (wave) => wave.markLoop("from_s") },
  { keys: ["]"], shown: "]", text: "loopTo", act: (wave) => wave.markLoop("to_s") },
  { keys: ["\\"], shown: "\\", text: "loopClear", act: (wave) => wave.clearLoop() },
  { keys: ["s"], shown: "S", text: "silence", act: (wave) => wave.toggleSilence() },
  { keys: ["1"], shown: "1", text: "near", act: (wave) => wave.mute("left") },
  { keys: ["2"], shown: "2", text: "far", act: (wave) => wave.mute("right") },
  { keys: ["b"], shown: "B", text: "bookmark" },
  { keys: ["n"], shown: "N", text: "note" },
  { keys: ["?"], shown: "?", text: "list" },
  { keys: ["Escape"], shown: "Esc", text: "close" },
];

/** Who types, or opens a list with the keyboard, means that and not the player. */
const takesKeys = (target: EventTarget | null, key: string) => {
  const element = target as HTMLElement | null;
  if (element?.closest?.("input, textarea, select, [role=combobox], [role=menu], [role=listbox]")) return true;
  return key === " " && Boolean(element?.closest?.("button, a"));
};

/** What a key press means; undefined when it is not for the player. */
export function playerKeyOf(event: KeyboardEvent): PlayerKey | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(event.target, event.key)) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const found = PLAYER_KEYS.filter((one) => one.keys.includes(key));
  return found.find((one) => Boolean(one.shift) === event.shiftKey) ?? (found[0]?.shift ? undefined : found[0]);
}
