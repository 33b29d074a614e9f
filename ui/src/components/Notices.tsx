// What went wrong, and what the server remarks beside an answer.

import { Alert, Stack } from "@mantine/core";
import { IconAlertTriangle, IconInfoCircle } from "@tabler/icons-react";
import type { Answer } from "../api/client";

export function Failure({ error }: { error: Error }) {
  return (
    <Alert color="red" icon={<IconAlertTriangle size={18} />} role="alert">
      <span className="mono" style={{ whiteSpace: "pre-wrap" }}>
        {error.message}
      </span>
    </Alert>
  );
}

export function Remarks({ answer }: { answer: Pick<Answer<unknown>, "warnings" | "infos"> | undefined }) {
  if (answer === undefined || answer.warnings.length + answer.infos.length === 0) return null;
  return (
    <Stack gap={4}>
      {answer.warnings.map((text) => (
        <Alert key={text} color="yellow" p="xs" icon={<IconAlertTriangle size={16} />}>
          {text}
        </Alert>
      ))}
      {answer.infos.map((text) => (
        <Alert key={text} color="blue" p="xs" icon={<IconInfoCircle size={16} />}>
          {text}
        </Alert>
      ))}
    </Stack>
  );
}
