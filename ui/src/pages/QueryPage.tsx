// Expressions with their results. The panels live in the URL: it changes when a query runs, so that going back,
// reloading and sharing show the same.

import { Button, Stack } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useCallback, useMemo } from "react";
import { useLocation, useSearch } from "wouter";
import { QueryPanel } from "../components/QueryPanel";
import { emptyPanel, type Panel, readPanels, writePanels } from "../lib/panels";

export function QueryPage() {
  const search = useSearch();
  const [, navigate] = useLocation();
  const panels = useMemo(() => readPanels(search), [search]);
  const show = useCallback((next: Panel[]) => navigate(`/query${writePanels(next)}`), [navigate]);
  return (
    <Stack gap="xl">
      {panels.map((panel, i) => (
        <QueryPanel
          // Panels have no names of their own; their place is what the URL knows.
          key={i}
          panel={panel}
          onChange={(changed) => show(panels.map((p, j) => (j === i ? changed : p)))}
          onRemove={panels.length > 1 ? () => show(panels.filter((_, j) => j !== i)) : null}
        />
      ))}
      <Button
        variant="light"
        w="fit-content"
        leftSection={<IconPlus size={16} />}
        onClick={() => show([...panels, emptyPanel()])}
      >
        Add query
      </Button>
    </Stack>
  );
}
