/** Lists of numbers in parameters: what a file adds to them. */

const SEPARATORS = /[,;\n，；、]+/;

/** The entries of a list as they are compared. */
const entriesOf = (text: string) =>
  text
    .split(SEPARATORS)
    .map((entry) => entry.replace(/\s+/g, ""))
    .filter(Boolean);

/** Those of the numbers that the list has not yet. */
export function missingIn(list: string, numbers: string[]): string[] {
  const known = new Set([...entriesOf(list), ...list.split(/[\s,;，；、]+/)]);
  return numbers.filter((number) => !known.has(number));
}

/** The list with these numbers behind what stands there. */
export function listWith(list: string, numbers: string[]): string {
  const before = list.trim().replace(/[\s,;，；、]+$/, "");
  return [...(before ? [before] : []), ...missingIn(list, numbers)].join(",");
}
