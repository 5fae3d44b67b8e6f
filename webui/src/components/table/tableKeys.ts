/** The row that a key leads to from row `at`, of `count` rows of which `page` are in view; undefined: it leads nowhere. */
export function rowReached(key: string, at: number, page: number, count: number): number | undefined {
  const reached: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const to = reached[key];
  return to === undefined ? undefined : Math.max(0, Math.min(count - 1, to));
}
