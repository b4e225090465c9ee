import { Problem } from "../../../src/base/problem.ts";
import { Redacted } from "../../../src/base/redacted.ts";
import type { OpenSecrets, Outgoing } from "../../../src/credentials/kind.ts";

/** A secret that no encoding changes, so that it can be counted wherever it lands. */
export const CANARY = "canary0123456789abcdefCANARY";

interface Parts {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export function outgoing(parts: Parts = {}): Outgoing {
  return {
    method: parts.method ?? "POST",
    path: parts.path ?? "/things",
    query: parts.query ?? "",
    headers: new Headers(parts.headers),
    body: parts.body === undefined ? null : new TextEncoder().encode(parts.body),
  };
}

export function secretsOf(values: Readonly<Record<string, string | Uint8Array>>): OpenSecrets {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, new Redacted(value)]));
}

export function bodyText({ body }: Outgoing): string {
  return body === null ? "" : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
}

/** Everything that would leave, as one text, with Basic's base64 decoded. */
export function wire(request: Outgoing): string {
  const headers = [...request.headers].map(([name, value]) => {
    const encoded = /^Basic (.+)$/.exec(value)?.[1];
    return `${name}: ${encoded === undefined ? value : Buffer.from(encoded, "base64").toString("utf8")}`;
  });
  return [`${request.method} ${request.path}?${request.query}`, ...headers, "", bodyText(request)].join("\n");
}

export function occurrences(request: Outgoing, text: string): number {
  return wire(request).split(text).length - 1;
}

/** The problem a function throws; anything else fails the test. */
export function problemOf(run: () => unknown): Problem {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("expected a Problem, but nothing was thrown");
}
