// Alerting rules by group, with their state and active alerts.

import {
  Accordion,
  Anchor,
  Badge,
  Group,
  Loader,
  Paper,
  SegmentedControl,
  Stack,
  Table,
  Text,
  Title,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { call } from "../api/client";
import type { AlertingRule, AlertState, RuleGroup, RulesData } from "../api/types";
import { LabelBadges } from "../components/LabelBadges";
import { Failure } from "../components/Notices";
import { formatDuration } from "../lib/duration";
import { emptyPanel, writePanels } from "../lib/panels";
import { ago } from "../lib/relativeTime";

const COLOURS: Record<AlertState, string> = {
  firing: "red",
  pending: "yellow",
  inactive: "green",
  unknown: "gray",
};
const ORDER: AlertState[] = ["firing", "pending", "inactive", "unknown"];

export function AlertsPage() {
  const [state, setState] = useState<string>("all");
  const { data, error, dataUpdatedAt } = useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => call<RulesData>("rules?type=alert", null, signal),
    refetchInterval: 5000,
  });
  if (error !== null) return <Failure error={error} />;
  if (data === undefined) return <Loader aria-label="Loading alerts" />;
  const rules = data.data.groups.flatMap((group) => group.rules);
  const count = (s: AlertState) => rules.filter((rule) => rule.state === s).length;
  return (
    <Stack>
      <SegmentedControl
        w="fit-content"
        value={state}
        onChange={setState}
        data={[
          { value: "all", label: `All ${rules.length}` },
          ...ORDER.slice(0, 3).map((s) => ({ value: s, label: `${s} ${count(s)}` })),
        ]}
      />
      {rules.length === 0 && <Text c="dimmed">There are no alerting rules: rule_files names none.</Text>}
      {data.data.groups.map((group) => (
        <RuleGroupCard
          key={`${group.file};${group.name}`}
          group={group}
          rules={group.rules.filter((rule) => state === "all" || rule.state === state)}
          now={dataUpdatedAt}
        />
      ))}
    </Stack>
  );
}

function RuleGroupCard({ group, rules, now }: { group: RuleGroup; rules: AlertingRule[]; now: number }) {
  if (rules.length === 0) return null;
  return (
    <Paper withBorder p="sm" component="section" aria-label={`Group ${group.name}`}>
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          {group.name}
        </Title>
        <Text size="sm" c="dimmed">
          {group.file}, every {formatDuration(group.interval * 1000)}
        </Text>
      </Group>
      <Accordion
        multiple
        defaultValue={rules.filter((rule) => rule.state === "firing").map((rule) => rule.name)}
      >
        {rules.map((rule, i) => (
          // A group may have rules of the same name.
          <Accordion.Item key={`${rule.name} ${i}`} value={rule.name}>
            <Accordion.Control>
              <Group justify="space-between" pr="sm">
                <Text fw={600}>{rule.name}</Text>
                <Group gap="xs">
                  {(rule.alerts ?? []).length > 0 && (
                    <Text size="sm">{(rule.alerts ?? []).length} active</Text>
                  )}
                  <Badge color={COLOURS[rule.state]}>{rule.state}</Badge>
                </Group>
              </Group>
            </Accordion.Control>
            <Accordion.Panel>
              <Rule rule={rule} now={now} />
            </Accordion.Panel>
          </Accordion.Item>
        ))}
      </Accordion>
    </Paper>
  );
}

function Rule({ rule, now }: { rule: AlertingRule; now: number }) {
  return (
    <Stack gap="xs">
      <Anchor
        component={Link}
        className="mono"
        href={`/query${writePanels([{ ...emptyPanel(), expr: rule.query }])}`}
      >
        {rule.query}
      </Anchor>
      <Text size="sm" c="dimmed">
        for {formatDuration(rule.duration * 1000)}
        {rule.keepFiringFor > 0 && `, keeps firing for ${formatDuration(rule.keepFiringFor * 1000)}`}
      </Text>
      <LabelBadges labels={rule.labels} />
      {rule.lastError !== undefined && rule.lastError !== "" && <Failure error={new Error(rule.lastError)} />}
      {(rule.alerts ?? []).length > 0 && (
        <Table.ScrollContainer minWidth={600}>
          <Table verticalSpacing={4}>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Alert</Table.Th>
                <Table.Th w={90}>State</Table.Th>
                <Table.Th w={140}>Active since</Table.Th>
                <Table.Th w={110}>Value</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {(rule.alerts ?? []).map((alert) => (
                <Table.Tr key={JSON.stringify(alert.labels)}>
                  <Table.Td>
                    <LabelBadges labels={alert.labels} />
                    {Object.entries(alert.annotations).map(([name, text]) => (
                      <Text key={name} size="sm">
                        <Text span c="dimmed">
                          {name}:
                        </Text>{" "}
                        {text}
                      </Text>
                    ))}
                  </Table.Td>
                  <Table.Td>
                    <Badge color={COLOURS[alert.state]}>{alert.state}</Badge>
                  </Table.Td>
                  <Table.Td>{alert.activeAt === undefined ? "" : ago(alert.activeAt, now)}</Table.Td>
                  <Table.Td className="mono">{alert.value}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Stack>
  );
}
