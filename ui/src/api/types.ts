// Shapes of the HTTP API's answers, as far as the UI reads them.

export type Labels = Record<string, string>;

export interface HistogramValue {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}

export type FloatPoint = [number, string];
export type HistogramPoint = [number, HistogramValue];

export interface VectorSample {
  metric: Labels;
  value?: FloatPoint;
  histogram?: HistogramPoint;
}

export interface MatrixSeries {
  metric: Labels;
  values?: FloatPoint[];
  histograms?: HistogramPoint[];
}

export type QueryData =
  | { resultType: "vector"; result: VectorSample[] }
  | { resultType: "matrix"; result: MatrixSeries[] }
  | { resultType: "scalar" | "string"; result: FloatPoint };

export type Health = "up" | "down" | "unknown";

export interface ActiveTarget {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: Health;
  scrapeInterval: string;
  scrapeTimeout: string;
}

export interface TargetsData {
  activeTargets: ActiveTarget[];
  droppedTargetCounts: Record<string, number>;
}

export type AlertState = "firing" | "pending" | "inactive" | "unknown";

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: AlertState;
  activeAt?: string;
  value: string;
}

export interface AlertingRule {
  type: "alerting";
  state: AlertState;
  name: string;
  query: string;
  duration: number;
  keepFiringFor: number;
  labels: Labels;
  annotations: Labels;
  alerts: Alert[] | null;
  health: string;
  lastError?: string;
}

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  rules: AlertingRule[];
}

export interface RulesData {
  groups: RuleGroup[];
}
