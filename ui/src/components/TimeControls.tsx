// Time of a table; range, end and step of a graph.

import { ActionIcon, Button, Group, TextInput } from "@mantine/core";
import { IconChevronLeft, IconChevronRight, IconMinus, IconPlus } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { defaultStep, formatDuration, nextRange, parseDuration } from "../lib/duration";
import { formatTime, type Panel } from "../lib/panels";

interface Props {
  panel: Panel;
  onChange: (panel: Panel) => void;
}

export function TimeControls({ panel, onChange }: Props) {
  const move = (direction: 1 | -1) =>
    onChange({ ...panel, endMs: (panel.endMs ?? Date.now()) + (direction * panel.rangeMs) / 2 });
  const zoom = (direction: 1 | -1) => onChange({ ...panel, rangeMs: nextRange(panel.rangeMs, direction) });
  return (
    <Group gap="xs">
      {panel.tab === "graph" && (
        <Group gap={4}>
          <Step label="Shorter range" onClick={() => zoom(-1)} icon={<IconMinus size={16} />} />
          <Field
            label="Range"
            width={80}
            value={formatDuration(panel.rangeMs)}
            parse={(text) => parseDuration(text) || undefined}
            onValue={(rangeMs) => onChange({ ...panel, rangeMs })}
          />
          <Step label="Longer range" onClick={() => zoom(1)} icon={<IconPlus size={16} />} />
        </Group>
      )}
      <Group gap={4}>
        <Step label="Earlier" onClick={() => move(-1)} icon={<IconChevronLeft size={16} />} />
        <Field
          label={panel.tab === "graph" ? "End time (UTC)" : "Time (UTC)"}
          width={170}
          placeholder="now"
          value={panel.endMs === null ? "" : formatTime(panel.endMs)}
          parse={parseTime}
          onValue={(endMs) => onChange({ ...panel, endMs })}
        />
        <Step label="Later" onClick={() => move(1)} icon={<IconChevronRight size={16} />} />
        {panel.endMs !== null && (
          <Button variant="subtle" size="compact-sm" onClick={() => onChange({ ...panel, endMs: null })}>
            now
          </Button>
        )}
      </Group>
      {panel.tab === "graph" && (
        <Field
          label="Step in seconds"
          width={110}
          placeholder={`step ${defaultStep(panel.rangeMs)}s`}
          value={panel.step === null ? "" : String(panel.step)}
          parse={(text) => (text === "" ? null : Number(text) > 0 ? Number(text) : undefined)}
          onValue={(step) => onChange({ ...panel, step })}
        />
      )}
    </Group>
  );
}

/** null for now, undefined for text that is no time. */
function parseTime(text: string): number | null | undefined {
  if (text === "" || text === "now") return null;
  const ms = Date.parse(`${text.replace(" ", "T")}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}

function Step({ label, icon, onClick }: { label: string; icon: React.ReactNode; onClick: () => void }) {
  return (
    <ActionIcon variant="default" size={30} aria-label={label} onClick={onClick}>
      {icon}
    </ActionIcon>
  );
}

interface FieldProps<T> {
  label: string;
  width: number;
  value: string;
  placeholder?: string;
  /** undefined for text that makes no sense. */
  parse: (text: string) => T | undefined;
  onValue: (value: T) => void;
}

/** A text field that takes effect on Enter or when it is left. */
function Field<T>({ label, width, value, placeholder, parse, onValue }: FieldProps<T>) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const parsed = parse(text.trim());
  const commit = () => {
    if (text !== value && parsed !== undefined) onValue(parsed);
  };
  return (
    <TextInput
      size="xs"
      w={width}
      aria-label={label}
      placeholder={placeholder ?? ""}
      value={text}
      error={parsed === undefined}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={commit}
      onKeyDown={(event) => event.key === "Enter" && commit()}
    />
  );
}
