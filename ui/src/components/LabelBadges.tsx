// A label set as small badges.

import { Badge, Group } from "@mantine/core";
import type { Labels } from "../api/types";

export function LabelBadges({ labels }: { labels: Labels }) {
  return (
    <Group gap={4}>
      {Object.entries(labels).map(([name, value]) => (
        <Badge
          key={name}
          variant="light"
          color="gray"
          tt="none"
          fw={400}
          maw="100%"
          title={`${name}="${value}"`}
        >
          {name}={JSON.stringify(value)}
        </Badge>
      ))}
    </Group>
  );
}
