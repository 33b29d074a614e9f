// "12s ago" for times of the recent past.

import { formatDuration } from "./duration";

/** How long ago an RFC 3339 time is; "never" for Go's zero time. */
export function ago(rfc3339: string, nowMs: number): string {
  const then = Date.parse(rfc3339);
  if (Number.isNaN(then) || then <= 0) return "never";
  const ms = Math.max(nowMs - then, 0);
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s ago`;
  return `${formatDuration(Math.floor(ms / 1000) * 1000)} ago`;
}
