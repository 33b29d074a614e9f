import { describe, expect, it } from "vitest";
import { axisValue, seriesName, toColumns } from "./series";

describe("series", () => {
  it.each([
    [{ __name__: "up", job: 'a"b' }, 'up{job="a\\"b"}'],
    [{ __name__: "up" }, "up"],
    [{ job: "x" }, '{job="x"}'],
    [{ __name__: "http.requests", "a.b": "c" }, '{"http.requests", "a.b"="c"}'],
    [{}, "{}"],
  ])("are named as PromQL selects them: %j", (metric, name) => {
    expect(seriesName(metric)).toBe(name);
  });

  it("become columns with gaps", () => {
    const series = [
      {
        metric: {},
        values: [
          [10, "1"],
          [12, "NaN"],
          [14, "+Inf"],
          [16, "2.5"],
        ] as [number, string][],
      },
      { metric: {}, values: [[12, "3"]] as [number, string][] },
    ];
    expect(toColumns(series, 10, 16, 2)).toEqual([
      [10, 12, 14, 16],
      [1, null, null, 2.5],
      [null, 3, null, null],
    ]);
    expect(toColumns([], 0, 1, 0.25)[0]).toHaveLength(5);
  });

  it.each([
    [0, "0"],
    [1500, "1.5k"],
    [-2_000_000, "-2M"],
    [0.25, "0.25"],
    [0.00001, "1.0e-5"],
  ])("show %d as %s on axes", (v, text) => {
    expect(axisValue(v)).toBe(text);
  });
});
