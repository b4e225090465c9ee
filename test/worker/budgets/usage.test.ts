import { describe, expect, it } from "vitest";
import { costOf, formatMoney, parseMoney, parseRate } from "../../../src/budgets/money.ts";
import { windowEnd, windowStart } from "../../../src/budgets/period.ts";
import { modelIn, pathsOf, unitsIn } from "../../../src/budgets/usage.ts";
import { providers } from "../../../src/connections/providers.ts";
import { EventFields } from "../../../src/gateway/meter-events.ts";
import { JsonFields } from "../../../src/gateway/meter-json.ts";

/** As the providers' own documentation shows them, shortened. */
const ANSWERS: readonly [provider: string, what: string, body: string, model: string, units: object][] = [
  [
    "anthropic",
    "a message",
    '{"id":"msg_1","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":2095,"cache_creation_input_tokens":30,"cache_read_input_tokens":200,"output_tokens":503}}',
    "claude-sonnet-4-5",
    { input: 2095, cache_write: 30, cached_input: 200, output: 503 },
  ],
  [
    "anthropic",
    "a stream, whose last event counts the output anew",
    'event: message_start\ndata: {"type":"message_start","message":{"model":"claude-sonnet-4-5","usage":{"input_tokens":25,"output_tokens":1}}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"\\"usage\\":{\\"output_tokens\\":0}"}}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    "claude-sonnet-4-5",
    { input: 25, cache_write: 0, cached_input: 0, output: 15 },
  ],
  [
    "gemini",
    "generated content, with what it thought",
    '{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":20,"totalTokenCount":35},"modelVersion":"gemini-2.5-flash"}',
    "gemini-2.5-flash",
    { input: 6, cached_input: 4, output: 25 },
  ],
  [
    "gemini",
    "a stream as a list, which counts on",
    '[{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":1},"modelVersion":"gemini-2.5-flash"},\r\n{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":9},"modelVersion":"gemini-2.5-flash"}]',
    "gemini-2.5-flash",
    { input: 10, cached_input: 0, output: 9 },
  ],
  [
    "openai",
    "embeddings",
    '{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}',
    "text-embedding-3-small",
    { input: 8, cached_input: 0, output: 0 },
  ],
];

describe("what an answer came to", () => {
  it.each(ANSWERS)("%s: %s", (provider, _what, body, model, units) => {
    const usage = providers.get(provider)?.usage;
    if (usage === undefined) throw new Error("no usage");
    const fields = body.startsWith("event:")
      ? new EventFields(pathsOf(usage))
      : new JsonFields(pathsOf(usage));
    fields.see(Buffer.from(body));
    fields.end();
    expect(modelIn(fields.found, usage)).toBe(model);
    expect(Object.fromEntries(unitsIn(fields.found, usage) ?? [])).toEqual(units);
  });
});

describe("money", () => {
  it("is read and written exactly, to a millionth", () => {
    for (const text of ["0.00", "0.000001", "12.50", "9007199254.740991", "3.141592"]) {
      expect(formatMoney(parseMoney(text) ?? -1)).toBe(text);
    }
    for (const text of ["", "-1", "1.", ".5", "01", "1e3", "0.0000001", "9007199254.740992", "1,5", " 1"]) {
      expect(parseMoney(text)).toBeNull();
    }
  });

  it("rounds what units cost up, never down", () => {
    const rate = parseRate("2.50 per 1M");
    if (rate === null) throw new Error("no rate");
    expect([0, 1, 2, 3, 1_000_000, 0.5].map((units) => costOf(units, rate))).toEqual([
      0, 3, 5, 8, 2_500_000, 2,
    ]);
    expect(costOf(9e9, { micros: 9e15, per: 1 })).toBeNull();
  });
});

describe("windows", () => {
  const at = (text: string): number => Date.parse(text);

  it.each([
    ["minute", "2026-03-01T12:34:00Z", "2026-03-01T12:35:00Z"],
    ["hour", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"],
    ["day", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"],
    // A Sunday.
    ["week", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"],
    ["month", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"],
  ] as const)("a %s begins and ends in UTC", (period, start, end) => {
    const now = at("2026-03-01T12:34:56.789Z");
    expect(windowStart(period, now)).toBe(at(start));
    expect(windowStart(period, at(start))).toBe(at(start));
    expect(windowStart(period, at(end) - 1)).toBe(at(start));
    expect(windowEnd(period, at(start))).toBe(at(end));
    expect(windowStart(period, at(end))).toBe(at(end));
  });

  it("a total has one, without an end", () => {
    expect(windowStart("total", Date.now())).toBe(0);
    expect(windowEnd("total", 0)).toBeNull();
  });
});
