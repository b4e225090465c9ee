import { sha256Hex } from "../base/digest.ts";
import { toHex } from "../base/ids.ts";
import { providers } from "../connections/providers.ts";
import type { BodyView } from "../policies/request-view.ts";
import type { ExactCall } from "./digest.ts";
import { coveredHeaders } from "./digest-headers.ts";
import { parseExactly, shownLeaves, shownPairs } from "./shown-fields.ts";
import { type CallParts, hinted } from "./shown-hints.ts";
import type { ShownCall } from "./shown-schema.ts";
import { shownText } from "./shown-text.ts";

const MAX_PATH = 2_000;
const MAX_QUERY = 8_000;
const MAX_BODY = 32_000;
const MAX_TITLE = 300;
const HEAD_BYTES = 64;

/** Headers whose values are a credential by their names, of whatever API: people need not see them to tell calls apart. */
const CONFIDENTIAL = /auth|token|secret|passw|cookie|signature|credential|(?:^|-)key$/;

/** What is shown is sealed like a secret, which has 64 KiB at most. */
const MAX_BYTES = 60 * 1024;
/** Made visible and written as JSON, a text can take twelve times its bytes: then less of it is shown. */
const SHARES = [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16];
const LEAST_SHARE = 1 / 32;

/**
 * What people are shown of a call: of the very bytes that its digest covers, and of nothing else. `kind` says how its
 * body was read (it reads in one way only). References to secrets stand as they were sent; no credential is part of it.
 * 60 KiB of JSON at most: where it would be more, more of it is cut, and says so.
 */
export function shownCall(call: ExactCall, below: string, kind: BodyView["kind"]): ShownCall {
  const { method, query } = call;
  const headers = coveredHeaders(call.headers);
  const body = readBody(call.body, kind);
  const parts: CallParts = { method, path: below, query: [...new URLSearchParams(query)], headers, body };
  const fits = (shown: ShownCall): boolean => Buffer.byteLength(JSON.stringify(shown)) <= MAX_BYTES;
  for (const share of SHARES) {
    const shown = shownPart(call, parts, share);
    if (fits(shown)) return shown;
  }
  return shownPart(call, parts, LEAST_SHARE);
}

function shownPart(call: ExactCall, parts: CallParts, share: number): ShownCall {
  const { method, scheme, authority, path, query, connection } = call;
  const hints = connection.provider === null ? [] : (providers.get(connection.provider)?.hints ?? []);
  // What a body says that nobody here can read, its receiver may still read: nothing is told as if it said nothing.
  const isRead = call.body === null || parts.body !== null;
  const hint = isRead ? hinted(hints, parts, share) : null;
  const headers = parts.headers.map(([name, value]) => [name, headerText(name, value)] as const);
  return {
    title: hint?.title ?? shownText(`${method} ${authority}${path}`, MAX_TITLE).value,
    picked: hint?.picked ?? [],
    method,
    scheme,
    host: authority,
    path: longText(path, MAX_PATH),
    query: { ...shownPairs(parts.query, share), ...textOf(query, MAX_QUERY * share) },
    headers: shownPairs(headers, share),
    body: shownBody(call, parts.body, share),
    connection: connection.slug,
    provider: connection.provider,
    secrets: Object.values(call.secrets).map(({ path: at, version }) => ({ path: at, version })),
    purpose: shownPairs(purposeOf(call), share),
  };
}

function readBody(body: Uint8Array | null, kind: BodyView["kind"]): CallParts["body"] {
  if (body === null || (kind !== "json" && kind !== "form")) return null;
  const text = utf8(body);
  if (text === null) return null;
  if (kind === "form") return { kind, pairs: [...new URLSearchParams(text)] };
  try {
    return { kind, value: parseExactly(text) };
  } catch {
    return null;
  }
}

function shownBody({ body, headers }: ExactCall, read: CallParts["body"], share: number): ShownCall["body"] {
  if (body === null || body.byteLength === 0) return { kind: "none" };
  const type = [...headers].find(([name]) => name === "content-type")?.[1] ?? null;
  const known = {
    type: type === null ? null : shownText(type, MAX_TITLE).value,
    bytes: body.byteLength,
    sha256: sha256Hex(body),
  };
  const text = utf8(body);
  if (text === null || isNoise(text)) {
    return { kind: "binary", ...known, head: toHex(body.subarray(0, HEAD_BYTES)) };
  }
  const { value, cut } = shownText(text, MAX_BODY * share, true);
  const shown = { ...known, text: value, cut };
  if (read === null) return { kind: "text", ...shown, fields: [], more: 0 };
  const fields = read.kind === "json" ? shownLeaves(read.value, share) : shownPairs(read.pairs, share);
  return { kind: read.kind, ...shown, ...fields };
}

function utf8(body: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}

/** Bytes that happen to be UTF-8, but are no text: more than one in ten of the first ones is a control character. */
function isNoise(text: string): boolean {
  const head = text.slice(0, 1_000);
  const controls = head.match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g)?.length ?? 0;
  return controls * 10 > head.length;
}

function headerText(name: string, value: string): string {
  if (!CONFIDENTIAL.test(name)) return value;
  return `[${value.length} characters, SHA-256 ${sha256Hex(value).slice(0, 16)}…]`;
}

function purposeOf({ purpose }: ExactCall): readonly (readonly [string, string])[] {
  const { tool, user, context } = purpose;
  const said: readonly (readonly [string, string | null | undefined])[] = [
    ["tool", tool],
    ["user", user],
    ...Object.entries(context).map(([name, value]) => [`context.${name}`, value] as const),
  ];
  return said.flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, value] as const],
  );
}

function textOf(text: string, most: number) {
  const { value, cut } = shownText(text, most);
  return { text: value, cut };
}

/** A text that must be told from a longer one by itself. */
function longText(text: string, most: number): string {
  const { value, cut } = shownText(text, most);
  return cut === null ? value : `${value}… (${cut.bytes} bytes, SHA-256 ${cut.sha256})`;
}
