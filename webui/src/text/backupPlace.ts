/** What people call the place of a backup. */

export type PlaceKind = "disk" | "stick" | "server" | "cloud" | "none";

/** Its kind, and its name without what nobody wants to read; `stickName` knows a stick by its id. */
export function placeOf(address: string, stickName: (id: string) => string): { kind: PlaceKind; name: string } {
  if (!address) return { kind: "none", name: "" };
  if (address.startsWith("usb:")) return { kind: "stick", name: stickName(address.slice(4)) };
  const plain = decode(address.split("?")[0] ?? "");
  if (address.startsWith("file://")) return { kind: "disk", name: plain.slice("file://".length) };
  const rest = plain.slice(plain.indexOf("://") + 3);
  return { kind: address.startsWith("sftp://") ? "server" : "cloud", name: rest };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
