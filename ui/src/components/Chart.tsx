// Series over time, drawn by uPlot. Dragging zooms; a click in the legend shows one series alone, with Ctrl or ⌘ it
// hides or shows that one.

import { useComputedColorScheme } from "@mantine/core";
import { type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import { axisValue, type Columns } from "../lib/series";

const PALETTE = [
  "#0c8599",
  "#e8590c",
  "#5f3dc4",
  "#2f9e44",
  "#c2255c",
  "#1971c2",
  "#f08c00",
  "#862e9c",
  "#66a80f",
  "#d6336c",
  "#099268",
  "#9c36b5",
  "#e67700",
  "#3b5bdb",
  "#74b816",
  "#a61e4d",
];

const colour = (i: number) => PALETTE[i % PALETTE.length] ?? "#0c8599";

interface Props {
  names: string[];
  columns: Columns;
  onZoom: (startSeconds: number, endSeconds: number) => void;
}

export function Chart({ names, columns, onZoom }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  const dark = useComputedColorScheme("light") === "dark";
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const [at, setAt] = useState<number | null>(null);

  const options = useMemo((): Omit<uPlot.Options, "width" | "height"> => {
    const axis = {
      stroke: dark ? "#c9c9c9" : "#495057",
      grid: { stroke: dark ? "#333" : "#e9ecef", width: 1 },
      ticks: { stroke: dark ? "#333" : "#e9ecef" },
    };
    return {
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, focus: { prox: 24 } },
      focus: { alpha: 0.35 },
      axes: [axis, { ...axis, size: 70, values: (_, ticks) => ticks.map(axisValue) }],
      series: [
        {},
        ...names.map((name, i) => ({
          label: name,
          stroke: colour(i),
          width: 1.5,
          show: !hidden.has(name),
          points: { show: false },
        })),
      ],
      hooks: {
        setCursor: [(plot) => setAt(plot.cursor.idx ?? null)],
        setSelect: [
          (plot) => {
            if (plot.select.width > 4) {
              zoom.current(
                plot.posToVal(plot.select.left, "x"),
                plot.posToVal(plot.select.left + plot.select.width, "x"),
              );
            }
          },
        ],
      },
    };
  }, [names, dark, hidden]);

  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const plot = new uPlot(
      { ...options, width: element.clientWidth, height: 340 },
      columns as uPlot.AlignedData,
      element,
    );
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 340 }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [options, columns]);

  const choose = (event: MouseEvent, name: string) => {
    const others = names.filter((n) => n !== name);
    setHidden((now) => {
      if (event.ctrlKey || event.metaKey) {
        const next = new Set(now);
        if (!next.delete(name)) next.add(name);
        return next;
      }
      const alone = !now.has(name) && others.every((n) => now.has(n));
      return alone ? new Set() : new Set(others);
    });
  };

  return (
    <div>
      <div className="chart" ref={host} role="img" aria-label={`Graph of ${names.length} series`} />
      <div className="legend">
        {names.map((name, i) => {
          const v = at === null ? null : columns[i + 1]?.[at];
          return (
            <button
              type="button"
              key={name}
              className="mono"
              aria-pressed={!hidden.has(name)}
              onClick={(event) => choose(event, name)}
            >
              <span className="swatch" style={{ background: colour(i) }} />
              <span style={{ flex: 1 }}>{name}</span>
              <span>{v === null || v === undefined ? "" : String(v)}</span>
            </button>
          );
        })}
      </div>
    </div>
  );
}
