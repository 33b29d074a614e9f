import { describe, expect, it } from "vitest";
import { defaultStep, formatDuration, nextRange, parseDuration } from "./duration";

describe("durations", () => {
  it.each([
    ["1h30m", 5_400_000],
    ["15s", 15_000],
    ["100ms", 100],
    ["1m500ms", 60_500],
    ["2w", 1_209_600_000],
  ])("reads and writes %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(formatDuration(ms)).toBe(text);
  });

  it.each(["", "5", "m", "1m1h", "-1m", "1.5h"])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeNull();
  });

  it("steps through the usual ranges", () => {
    expect(nextRange(3_600_000, 1)).toBe(7_200_000);
    expect(nextRange(3_600_000, -1)).toBe(1_800_000);
    expect(nextRange(1_000, -1)).toBe(1_000);
  });

  it("chooses a step that keeps the number of points in bounds", () => {
    expect(defaultStep(3_600_000)).toBe(14);
    expect(defaultStep(60_000)).toBe(0.24);
  });
});
