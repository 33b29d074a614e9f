// Names of series, and matrices as the columns that the chart draws.

import type { Labels, MatrixSeries } from "../api/types";

const CLASSIC_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const CLASSIC_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** A series as PromQL writes its selector. */
export function seriesName(metric: Labels): string {
  const { __name__: name, ...labels } = metric;
  const pairs = Object.entries(labels).map(
    ([label, value]) =>
      `${CLASSIC_NAME.test(label) ? label : JSON.stringify(label)}=${JSON.stringify(value)}`,
  );
  if (name === undefined) return `{${pairs.join(", ")}}`;
  if (!CLASSIC_METRIC.test(name)) return `{${[JSON.stringify(name), ...pairs].join(", ")}}`;
  return pairs.length > 0 ? `${name}{${pairs.join(", ")}}` : name;
}

/** A float as the API writes it; JavaScript does not know `+Inf`. */
export function parseFloatValue(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}

/** Times in seconds, then a column for each series; null where a series has no finite sample. */
export type Columns = [number[], ...(number | null)[][]];

/** Float samples of all series on the steps of a range query. */
export function toColumns(series: MatrixSeries[], start: number, end: number, step: number): Columns {
  const count = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: count }, (_, i) => start + i * step);
  const columns = series.map(({ values }) => {
    const column = new Array<number | null>(count).fill(null);
    for (const [t, text] of values ?? []) {
      const v = parseFloatValue(text);
      const at = Math.round((t - start) / step);
      if (at >= 0 && at < count && Number.isFinite(v)) column[at] = v;
    }
    return column;
  });
  return [times, ...columns];
}

const SI: [number, string][] = [
  [1e24, "Y"],
  [1e21, "Z"],
  [1e18, "E"],
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** A short form for axes: 1.5k, 20M, 0.003. */
export function axisValue(v: number): string {
  const magnitude = Math.abs(v);
  const [size, unit] = SI.find(([s]) => magnitude >= s) ?? [1, ""];
  if (magnitude !== 0 && magnitude < 1e-4) return v.toExponential(1);
  return `${Number((v / size).toPrecision(4))}${unit}`;
}
