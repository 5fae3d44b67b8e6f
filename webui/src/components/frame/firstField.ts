/** The cursor of a dialog that has just opened. */

/** Puts the cursor into `field`, unless somebody types in a field of the same dialog already. */
export function focusFirst(field: HTMLElement | null): void {
  const dialog = field?.closest("[role=dialog]");
  const at = document.activeElement;
  if (dialog && at && dialog.contains(at) && at.matches("input, textarea, select")) return;
  field?.focus();
}
