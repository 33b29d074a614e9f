// Durations as Prometheus writes them (1h30m), in milliseconds.

const UNITS: [string, number][] = [
  ["y", 365 * 86_400_000],
  ["w", 7 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

const PATTERN = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Milliseconds, or null when the text is no duration. */
export function parseDuration(text: string): number | null {
  const match = PATTERN.exec(text.trim());
  if (match === null || match[0] === "") return null;
  return UNITS.reduce((sum, [, ms], i) => sum + Number(match[i + 1] ?? 0) * ms, 0);
}

/** The duration with as few units as say it exactly; weeks and years only when they divide it. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0s";
  let rest = Math.round(ms);
  let text = "";
  for (const [unit, size] of UNITS) {
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

const RANGES = [
  "1s",
  "10s",
  "1m",
  "5m",
  "15m",
  "30m",
  "1h",
  "2h",
  "6h",
  "12h",
  "1d",
  "2d",
  "1w",
  "2w",
  "4w",
  "8w",
  "1y",
  "2y",
];

/** The next longer (1) or shorter (-1) of the usual ranges. */
export function nextRange(ms: number, direction: 1 | -1): number {
  const all = RANGES.map((text) => parseDuration(text) ?? 0);
  const next = direction === 1 ? all.find((r) => r > ms) : all.findLast((r) => r < ms);
  return next ?? ms;
}

/** Distance of steps in seconds: about 250 points over the range, whole seconds from one second on. */
export function defaultStep(rangeMs: number): number {
  const step = rangeMs / 1000 / 250;
  return step >= 1 ? Math.floor(step) : Math.max(Math.floor(step * 1000) / 1000, 0.001);
}
