// Talks to the server's HTTP API: one function that opens the envelope, and its errors.

import { settings } from "../settings";

/** What the server, or the way to it, says went wrong. */
export class ApiError extends Error {}

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

interface Envelope<T> {
  status: "success" | "error";
  data: T;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

const JSON_TYPE = "application/json";

/** Asks an endpoint of /api/v1. Parameters go in the body, because queries may be longer than URLs. */
export async function call<T>(
  endpoint: string,
  params: Record<string, string> | null,
  signal?: AbortSignal,
): Promise<Answer<T>> {
  const url = `${settings.prefix}/api/v1/${endpoint}`;
  let response: Response;
  try {
    response = await fetch(url, {
      ...(params === null ? {} : { method: "POST", body: new URLSearchParams(params) }),
      headers: { Accept: JSON_TYPE },
      signal: signal ?? null,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(`The server could not be reached: ${cause instanceof Error ? cause.message : cause}`);
  }
  if (!response.headers.get("content-type")?.startsWith(JSON_TYPE)) {
    const text = (await response.text()).trim();
    throw new ApiError(`${endpoint}: HTTP ${response.status} ${text || response.statusText}`);
  }
  const envelope = (await response.json()) as Envelope<T>;
  if (envelope.status !== "success")
    throw new ApiError(envelope.error ?? `${endpoint}: HTTP ${response.status}`);
  return { data: envelope.data, warnings: envelope.warnings ?? [], infos: envelope.infos ?? [] };
}
