import { describe, expect, it } from "vitest";
import { emptyPanel, type Panel, readPanels, writePanels } from "./panels";

describe("panels in the URL", () => {
  it("come back as they were written", () => {
    const panels: Panel[] = [
      {
        expr: 'rate(a{b="c&d+e"}[5m])',
        tab: "graph",
        rangeMs: 5_400_000,
        endMs: Date.UTC(2026, 0, 2, 3, 4, 5),
        step: 7,
      },
      emptyPanel(),
    ];
    expect(readPanels(writePanels(panels))).toEqual(panels);
  });

  it("understand the links that alerts carry", () => {
    expect(readPanels("?g0.expr=up+%3D%3D+0&g0.tab=1")).toEqual([{ ...emptyPanel(), expr: "up == 0" }]);
    expect(readPanels("?g0.expr=up&g0.tab=0")[0]?.tab).toBe("graph");
  });

  it("start with one empty panel", () => {
    expect(readPanels("")).toEqual([emptyPanel()]);
    expect(readPanels("?g0.range_input=nonsense&g0.end_input=x")).toEqual([emptyPanel()]);
  });
});
