/** Durations (ms) as a clock reads: 0:07, 12:34, 1:02:03. */
export function formatDuration(duration_ms: number | null | undefined): string {
  if (duration_ms === null || duration_ms === undefined || !Number.isFinite(duration_ms)) return "–";
  const seconds = Math.max(0, Math.floor(duration_ms / 1000));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
