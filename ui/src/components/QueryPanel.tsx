// One expression: editor, time controls, and the result as table or graph.

import { ActionIcon, Button, Group, Paper, Stack, Tabs, Text } from "@mantine/core";
import { IconChartLine, IconTable, IconTrash } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { type Answer, call } from "../api/client";
import type { MatrixSeries, QueryData } from "../api/types";
import { defaultStep } from "../lib/duration";
import type { Panel, Tab } from "../lib/panels";
import { seriesName, toColumns } from "../lib/series";
import { Chart } from "./Chart";
import { Failure, Remarks } from "./Notices";
import { QueryEditor } from "./QueryEditor";
import { ResultTable } from "./ResultTable";
import { TimeControls } from "./TimeControls";

/** More lines would make the browser slow and the graph unreadable. */
const SERIES_AT_ONCE = 500;

interface Props {
  panel: Panel;
  onChange: (panel: Panel) => void;
  /** null when this is the only panel. */
  onRemove: (() => void) | null;
}

interface Times {
  start: number;
  end: number;
  step: number;
}

function timesOf(panel: Panel): Times {
  const end = (panel.endMs ?? Date.now()) / 1000;
  return { start: end - panel.rangeMs / 1000, end, step: panel.step ?? defaultStep(panel.rangeMs) };
}

type Result = Answer<QueryData> & { times: Times; tookMs: number };

async function run(panel: Panel, signal: AbortSignal): Promise<Result> {
  const times = timesOf(panel);
  const begin = performance.now();
  const answer =
    panel.tab === "table"
      ? await call<QueryData>("query", { query: panel.expr, time: String(times.end) }, signal)
      : await call<QueryData>(
          "query_range",
          { query: panel.expr, start: String(times.start), end: String(times.end), step: String(times.step) },
          signal,
        );
  return { ...answer, times, tookMs: Math.round(performance.now() - begin) };
}

export function QueryPanel({ panel, onChange, onRemove }: Props) {
  const [text, setText] = useState(panel.expr);
  useEffect(() => setText(panel.expr), [panel.expr]);
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ["panel", panel],
    queryFn: ({ signal }) => run(panel, signal),
    enabled: panel.expr.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: 0,
    retry: false,
  });

  const execute = (expr: string) => {
    if (expr === panel.expr) void refetch();
    else onChange({ ...panel, expr });
  };
  const matches = data !== undefined && (data.data.resultType === "matrix") === (panel.tab === "graph");

  return (
    <Paper withBorder p="sm" component="section" aria-label="Query">
      <Stack gap="sm">
        <Group align="flex-start" wrap="nowrap" gap="xs">
          <QueryEditor value={text} onChange={setText} onRun={execute} />
          <Button onClick={() => execute(text)} loading={isFetching}>
            Execute
          </Button>
          {onRemove !== null && (
            <ActionIcon variant="subtle" color="gray" size={36} aria-label="Remove query" onClick={onRemove}>
              <IconTrash size={18} />
            </ActionIcon>
          )}
        </Group>
        <Tabs
          value={panel.tab}
          onChange={(tab) => onChange({ ...panel, expr: text, tab: (tab ?? "table") as Tab })}
        >
          <Tabs.List>
            <Tabs.Tab value="table" leftSection={<IconTable size={16} />}>
              Table
            </Tabs.Tab>
            <Tabs.Tab value="graph" leftSection={<IconChartLine size={16} />}>
              Graph
            </Tabs.Tab>
          </Tabs.List>
        </Tabs>
        <TimeControls panel={panel} onChange={onChange} />
        {error !== null && <Failure error={error} />}
        <Remarks answer={data} />
        {panel.expr === "" && <Text c="dimmed">No query yet: type an expression, then press Enter.</Text>}
        {error === null && panel.expr !== "" && data !== undefined && (
          <>
            {panel.tab === "table" && <ResultTable data={data.data} />}
            {panel.tab === "graph" && matches && (
              <Graph
                series={data.data.result as MatrixSeries[]}
                times={data.times}
                onZoom={(start, end) =>
                  onChange({
                    ...panel,
                    rangeMs: Math.max(Math.round(end - start), 1) * 1000,
                    endMs: Math.round(end) * 1000,
                  })
                }
              />
            )}
            <Text size="xs" c="dimmed" data-testid="figures">
              {countOf(data.data)} series, {data.tookMs} ms
              {panel.tab === "graph" && `, step ${data.times.step}s`}
            </Text>
          </>
        )}
      </Stack>
    </Paper>
  );
}

const countOf = (data: QueryData) =>
  data.resultType === "vector" || data.resultType === "matrix" ? data.result.length : 1;

function Graph(props: {
  series: MatrixSeries[];
  times: Times;
  onZoom: (start: number, end: number) => void;
}) {
  const { series, times, onZoom } = props;
  const shown = useMemo(() => series.slice(0, SERIES_AT_ONCE), [series]);
  const names = useMemo(() => shown.map(({ metric }) => seriesName(metric)), [shown]);
  const columns = useMemo(() => toColumns(shown, times.start, times.end, times.step), [shown, times]);
  if (series.length === 0) return <Text c="dimmed">Empty result: no series has samples in this range.</Text>;
  const onlyHistograms = shown.every(({ values }) => values === undefined);
  return (
    <>
      {series.length > SERIES_AT_ONCE && (
        <Text c="dimmed">
          {SERIES_AT_ONCE} of {series.length} series are drawn; aggregate or narrow the selector to see the
          others.
        </Text>
      )}
      {onlyHistograms ? (
        <Text c="dimmed">
          The result is native histograms: use histogram_quantile() or histogram_count() to graph it.
        </Text>
      ) : (
        <Chart names={names} columns={columns} onZoom={onZoom} />
      )}
    </>
  );
}
