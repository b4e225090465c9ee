import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A kind of body that providers send: its media type, and about a mebibyte of it that is repeated to any length. */
export interface BodyKind {
  readonly name: string;
  readonly type: string;
  readonly unit: Buffer;
}

const UNIT = 1024 * 1024;

/** Reproducible bytes that look drawn at random: SHA-256 of a counter. */
function noise(bytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, at) =>
    createHash("sha256").update(`valetkey bench ${at}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, bytes);
}

function filled(part: (at: number) => string): Buffer {
  let text = "";
  for (let at = 0; text.length < UNIT; at += 1) text += part(at);
  return Buffer.from(text);
}

/** A charge as Stripe shows one: short strings, numbers, a receipt URL with a long token in it. */
function charge(at: number) {
  return {
    id: `ch_3MmlLrLkdIwHu7ix0snN${at}`,
    object: "charge",
    amount: 1_099 + at,
    balance_transaction: "txn_3MmlLrLkdIwHu7ix0uke3Ezy",
    billing_details: { address: { city: null, country: null }, email: null, name: "Jenny Rosen" },
    calculated_statement_descriptor: "Stripe",
    captured: true,
    created: 1_679_090_539 + at,
    currency: "usd",
    description: `Payment for order ${at}`,
    outcome: { network_status: "approved_by_network", risk_level: "normal", risk_score: 32 },
    receipt_url: `https://pay.stripe.com/receipts/payment/CAcaFwoVYWNjdF8xTTJKVGtMa2RJd0h1N2l4KOvG06AGMgZfBXyr1aw6`,
  };
}

const PROSE =
  "The quick brown fox said: “Schön, дружище, こんにちは!” — and went on, over the lazy dog, to the café. ";

/** All characters above ASCII as `\uXXXX`, as PHP and Python write JSON unless told otherwise. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function delta(at: number): string {
  const choices = [
    { index: 0, delta: { content: ` word ${at}${at % 7 === 0 ? "\n" : ""}` }, finish_reason: null },
  ];
  return `data: ${JSON.stringify({ id: "chatcmpl-9x", object: "chat.completion.chunk", created: 1_679_090_539, model: "gpt-4o", choices })}\n\n`;
}

/** What is measured: none of them has a credential in it, so that what goes in comes out. */
export function bodyKinds(): readonly BodyKind[] {
  const json = "application/json";
  return [
    { name: "binary", type: "application/octet-stream", unit: noise(UNIT) },
    { name: "json", type: json, unit: filled((at) => `${JSON.stringify(charge(at))},\n`) },
    {
      name: 'json in json (\\")',
      type: json,
      unit: filled((at) => `${JSON.stringify({ arguments: JSON.stringify(charge(at)) })},\n`),
    },
    {
      name: "json, \\u prose",
      type: json,
      unit: filled((at) => `${asciiJson({ at, text: PROSE.repeat(4) })},\n`),
    },
    {
      name: "json, all \\u",
      type: json,
      unit: filled((at) => `${asciiJson({ at, text: "Привет, мир! こんにちは世界。".repeat(20) })},\n`),
    },
    {
      name: "base64 in json",
      type: json,
      unit: filled(() => `${JSON.stringify({ b64_json: noise(96 * 1024).toString("base64") })},\n`),
    },
    {
      name: "base64, wrapped",
      type: "text/plain",
      unit: Buffer.from(
        noise(768 * 1024)
          .toString("base64")
          .replaceAll(/.{76}/g, "$&\r\n"),
      ),
    },
    { name: "events", type: "text/event-stream", unit: filled(delta) },
  ];
}

export interface BodyServer {
  readonly url: string;
  readonly kind: "node";
  stop(): Promise<void>;
}

/** `/{index}/{repeats}`: that kind's unit, so many times. Anything without the credential is a 401. */
export async function startBodyServer(kinds: readonly BodyKind[], credential: string): Promise<BodyServer> {
  const server = createServer((request, response) => {
    const [, index, repeats] = /^\/(\d+)\/(\d+)$/.exec(request.url ?? "") ?? [];
    const kind = kinds[Number(index)];
    if (request.headers.authorization !== `Bearer ${credential}`) response.writeHead(401).end();
    else if (kind === undefined) response.writeHead(404).end();
    else {
      response.writeHead(200, {
        "content-type": kind.type,
        ...(kind.type === "text/event-stream"
          ? {}
          : { "content-length": kind.unit.length * Number(repeats) }),
      });
      void send(response, kind.unit, Number(repeats));
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    kind: "node",
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function send(response: ServerResponse, unit: Buffer, repeats: number): Promise<void> {
  let wake = (): void => undefined;
  response.on("drain", () => wake());
  response.on("close", () => wake());
  for (let sent = 0; sent < repeats && !response.destroyed; sent += 1) {
    const drained = new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (!response.write(unit)) await drained;
  }
  response.end();
}
