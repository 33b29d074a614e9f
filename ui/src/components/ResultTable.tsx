// The answer to an instant query as a table.

import { Button, ScrollArea, Stack, Table, Text } from "@mantine/core";
import { type ReactNode, useState } from "react";
import type { HistogramValue, QueryData } from "../api/types";
import { seriesName } from "../lib/series";

/** More rows would make the browser slow; the rest is shown on demand. */
const ROWS_AT_ONCE = 1000;

const BRACKETS: [string, string][] = [
  ["(", "]"],
  ["[", ")"],
  ["(", ")"],
  ["[", "]"],
];

function histogramText({ count, sum, buckets = [] }: HistogramValue): string {
  const parts = buckets.map(([rule, lower, upper, n]) => {
    const [open, close] = BRACKETS[rule] ?? ["(", ")"];
    return `${open}${lower}, ${upper}${close}: ${n}`;
  });
  return [`count: ${count}, sum: ${sum}`, ...parts].join("\n");
}

function rowsOf(data: QueryData): [string, ReactNode][] {
  switch (data.resultType) {
    case "scalar":
    case "string":
      return [[data.resultType, data.result[1]]];
    case "vector":
      return data.result.map(({ metric, value, histogram }) => [
        seriesName(metric),
        value !== undefined ? value[1] : histogram !== undefined ? histogramText(histogram[1]) : "",
      ]);
    case "matrix":
      return data.result.map(({ metric, values = [], histograms = [] }) => [
        seriesName(metric),
        [
          ...values.map(([t, v]) => `${v} @${t}`),
          ...histograms.map(([t, h]) => `${histogramText(h)} @${t}`),
        ].join("\n"),
      ]);
  }
}

export function ResultTable({ data }: { data: QueryData }) {
  const [shown, setShown] = useState(ROWS_AT_ONCE);
  const rows = rowsOf(data);
  if (rows.length === 0)
    return <Text c="dimmed">Empty result: no series matches, or none has a recent sample.</Text>;
  return (
    <Stack gap="xs">
      <ScrollArea>
        <Table striped highlightOnHover verticalSpacing={4} aria-label="Result">
          <Table.Tbody>
            {rows.slice(0, shown).map(([name, value]) => (
              <Table.Tr key={name}>
                <Table.Td className="mono">{name}</Table.Td>
                <Table.Td className="mono" ta="right" style={{ whiteSpace: "pre" }}>
                  {value}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </ScrollArea>
      {rows.length > shown && (
        <Button variant="default" onClick={() => setShown(rows.length)}>
          Show all {rows.length} rows
        </Button>
      )}
    </Stack>
  );
}
