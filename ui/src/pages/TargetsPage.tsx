// Targets by job, with their health and last error.

import {
  Anchor,
  Badge,
  Group,
  Loader,
  Paper,
  Select,
  Stack,
  Table,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { call } from "../api/client";
import type { ActiveTarget, Health, TargetsData } from "../api/types";
import { LabelBadges } from "../components/LabelBadges";
import { Failure } from "../components/Notices";
import { ago } from "../lib/relativeTime";

const COLOURS: Record<Health, string> = { up: "green", down: "red", unknown: "gray" };

export function TargetsPage() {
  const [health, setHealth] = useState<string>("all");
  const [filter, setFilter] = useState("");
  const { data, error, dataUpdatedAt } = useQuery({
    queryKey: ["targets"],
    queryFn: ({ signal }) => call<TargetsData>("targets", null, signal),
    refetchInterval: 5000,
  });
  if (error !== null) return <Failure error={error} />;
  if (data === undefined) return <Loader aria-label="Loading targets" />;
  const wanted = (target: ActiveTarget) =>
    (health === "all" || target.health === health) &&
    `${target.scrapeUrl} ${JSON.stringify(target.labels)}`.toLowerCase().includes(filter.toLowerCase());
  const pools = new Map<string, ActiveTarget[]>();
  for (const target of data.data.activeTargets) {
    const pool = pools.get(target.scrapePool) ?? [];
    pool.push(target);
    pools.set(target.scrapePool, pool);
  }
  return (
    <Stack>
      <Group>
        <Select
          aria-label="Health"
          data={["all", "up", "down", "unknown"]}
          value={health}
          onChange={(value) => setHealth(value ?? "all")}
          w={130}
        />
        <TextInput
          aria-label="Filter by address or label"
          placeholder="Filter by address or label"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
          w={320}
        />
      </Group>
      {pools.size === 0 && (
        <Text c="dimmed">There are no targets: scrape_configs is empty or finds none.</Text>
      )}
      {[...pools].map(([pool, targets]) => (
        <Pool
          key={pool}
          name={pool}
          targets={targets}
          shown={targets.filter(wanted)}
          dropped={data.data.droppedTargetCounts[pool] ?? 0}
          now={dataUpdatedAt}
        />
      ))}
    </Stack>
  );
}

interface PoolProps {
  name: string;
  targets: ActiveTarget[];
  shown: ActiveTarget[];
  dropped: number;
  now: number;
}

function Pool({ name, targets, shown, dropped, now }: PoolProps) {
  const up = targets.filter((target) => target.health === "up").length;
  return (
    <Paper withBorder p="sm" component="section" aria-label={`Job ${name}`}>
      <Group justify="space-between" mb="xs">
        <Title order={2} size="h5">
          {name}
        </Title>
        <Group gap="xs">
          {dropped > 0 && (
            <Text size="sm" c="dimmed">
              {dropped} dropped by relabelling
            </Text>
          )}
          <Badge color={up === targets.length ? "green" : "red"} variant="light">
            {up} of {targets.length} up
          </Badge>
        </Group>
      </Group>
      <Table.ScrollContainer minWidth={700}>
        <Table verticalSpacing={6}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th w="32%">Endpoint</Table.Th>
              <Table.Th>Labels</Table.Th>
              <Table.Th w={170}>Last scrape</Table.Th>
              <Table.Th w={90}>State</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {shown.map((target) => (
              <Row key={`${target.scrapeUrl} ${JSON.stringify(target.labels)}`} target={target} now={now} />
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function Row({ target, now }: { target: ActiveTarget; now: number }) {
  return (
    <Table.Tr>
      <Table.Td>
        <Anchor className="mono" href={target.globalUrl}>
          {target.scrapeUrl}
        </Anchor>
        {target.lastError !== "" && (
          <Text size="sm" c="red" role="status" style={{ overflowWrap: "anywhere" }}>
            {target.lastError}
          </Text>
        )}
      </Table.Td>
      <Table.Td>
        <LabelBadges labels={target.labels} />
      </Table.Td>
      <Table.Td>
        <Text size="sm">{ago(target.lastScrape, now)}</Text>
        <Text size="xs" c="dimmed">
          took {(target.lastScrapeDuration * 1000).toFixed(1)} ms, every {target.scrapeInterval}
        </Text>
      </Table.Td>
      <Table.Td>
        <Badge color={COLOURS[target.health]}>{target.health}</Badge>
      </Table.Td>
    </Table.Tr>
  );
}
