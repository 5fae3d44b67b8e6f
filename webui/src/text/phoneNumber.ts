/** Telephone numbers as people read them: 138 0013 8000, 010 6234 5678, +86 755 8765 4321. */

/** Area codes of two digits behind the zero (the country's other area codes have three). */
const SHORT_AREA = /^0(10|2\d)/;

function fromRight(digits: string, size: number): string {
  return digits.replace(new RegExp(`\\B(?=(\\d{${size}})+$)`, "g"), " ");
}

function local(digits: string): string {
  if (digits.length === 7) return `${digits.slice(0, 3)} ${digits.slice(3)}`;
  if (digits.length === 8) return `${digits.slice(0, 4)} ${digits.slice(4)}`;
  return digits;
}

function mobile(digits: string): string {
  return `${digits.slice(0, 3)} ${digits.slice(3, 7)} ${digits.slice(7)}`;
}

function national(digits: string): string {
  if (/^1[3-9]\d{9}$/.test(digits)) return mobile(digits);
  if (/^01[3-9]\d{9}$/.test(digits)) return `0 ${mobile(digits.slice(1))}`;
  if (/^[48]00\d{7}$/.test(digits)) return `${digits.slice(0, 3)} ${digits.slice(3, 6)} ${digits.slice(6)}`;
  const area = SHORT_AREA.test(digits) ? 3 : 4;
  if (/^0[1-9]/.test(digits) && [7, 8].includes(digits.length - area)) {
    return `${digits.slice(0, area)} ${local(digits.slice(area))}`;
  }
  if (digits.length <= 8) return local(digits);
  return fromRight(digits, 4);
}

/** Country codes of one digit, and of two; the others have three (ITU-T E.164, list of assigned codes). */
const COUNTRY = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/;

function international(digits: string): string {
  const code = COUNTRY.exec(digits)?.[0] ?? "";
  const rest = digits.slice(code.length);
  if (code === "1" && rest.length === 10) return `1 ${rest.slice(0, 3)} ${rest.slice(3, 6)} ${rest.slice(6)}`;
  return `${code} ${fromRight(rest, 4)}`.trim();
}

/** Groups a number for reading. What is no plain number (letters, `*`, `#`) stays as it is. */
export function groupNumber(number: string | null | undefined): string {
  const text = (number ?? "").trim();
  if (!/^\+?\d+$/.test(text)) return text;
  if (text.startsWith("+86")) {
    const rest = text.slice(3);
    const grouped = /^1[3-9]\d{9}$/.test(rest) ? mobile(rest) : national(`0${rest}`).slice(1);
    return `+86 ${grouped}`;
  }
  if (text.startsWith("+")) return `+${international(text.slice(1))}`;
  return national(text);
}

/** The digits of a number without anything that people put between them. */
export function plainNumber(text: string): string {
  return text.replace(/[\s\-().]/g, "");
}
