// The query page's state as a URL, with the parameter names of Prometheus, so that links from alerts and bookmarks
// work: g0.expr, g0.tab, g0.range_input, g0.end_input, g0.step_input.

import { formatDuration, parseDuration } from "./duration";

export type Tab = "table" | "graph";

export interface Panel {
  expr: string;
  tab: Tab;
  rangeMs: number;
  /** End of the graph and time of the table in milliseconds; null follows the clock. */
  endMs: number | null;
  /** Seconds; null chooses by the range. */
  step: number | null;
}

export const DEFAULT_RANGE = 3_600_000;

export const emptyPanel = (): Panel => ({
  expr: "",
  tab: "table",
  rangeMs: DEFAULT_RANGE,
  endMs: null,
  step: null,
});

/** The panels that a query string names, at least one. */
export function readPanels(search: string): Panel[] {
  const params = new URLSearchParams(search);
  const panels: Panel[] = [];
  for (let i = 0; [...params.keys()].some((key) => key.startsWith(`g${i}.`)); i++) {
    const get = (name: string) => params.get(`g${i}.${name}`) ?? "";
    const end = Date.parse(`${get("end_input").replace(" ", "T")}Z`);
    const step = Number(get("step_input") || get("step"));
    panels.push({
      expr: get("expr"),
      tab: get("tab") === "0" || get("tab") === "graph" ? "graph" : "table",
      rangeMs: parseDuration(get("range_input")) || DEFAULT_RANGE,
      endMs: Number.isNaN(end) ? null : end,
      step: step > 0 ? step : null,
    });
  }
  return panels.length > 0 ? panels : [emptyPanel()];
}

/** UTC as the URL and the time field write it. */
export const formatTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");

/** The query string that names these panels. */
export function writePanels(panels: Panel[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, i) => {
    params.set(`g${i}.expr`, panel.expr);
    params.set(`g${i}.tab`, panel.tab);
    params.set(`g${i}.range_input`, formatDuration(panel.rangeMs));
    if (panel.endMs !== null) params.set(`g${i}.end_input`, formatTime(panel.endMs));
    if (panel.step !== null) params.set(`g${i}.step_input`, String(panel.step));
  });
  return `?${params}`;
}
