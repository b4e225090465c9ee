import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../src/audit/canonical-json.ts";
import { cleanEvent, visibleText } from "../../../src/audit/clean.ts";
import { newId } from "../../../src/base/ids.ts";
import { event, eventsOf, exportBlocks, log } from "./fixtures.ts";

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("attack 82: free text in an event", () => {
  test.each([
    ["line breaks", "a\r\nb", "a\\u000d\\u000ab"],
    ["NUL, escape and delete", "\0\u001b[2J\u007f", "\\u0000\\u001b[2J\\u007f"],
    ["C1 controls and line separators", "\u0085\u2028\u2029", "\\u0085\\u2028\\u2029"],
    ["bidirectional overrides and isolates", "a\u202eb\u2066c\u061c", "a\\u202eb\\u2066c\\u061c"],
    ["zero-width characters", "a\u200bb\ufeff", "a\\u200bb\\ufeff"],
    ["tag characters", "a\u{e0041}", "a\\u{e0041}"],
    ["lone surrogates", "a\ud800b", "a\\ud800b"],
  ])("attack 82: shows %s", (_, text, shown) => {
    expect(visibleText(text, 100)).toBe(shown);
  });

  test("attack 82: leaves what people can read as it is", () => {
    expect(visibleText("Zahlungen/Überweisung 支付 😀", 100)).toBe("Zahlungen/Überweisung 支付 😀");
  });

  test("attack 82: has nothing invisible left, stays within bounds, and is not changed by cleaning again", () => {
    const text = fc.string({ unit: "binary", maxLength: 60 });
    fc.assert(
      fc.property(text, fc.integer({ min: 2, max: 40 }), (raw, max) => {
        const shown = visibleText(raw, max);
        expect(shown).not.toMatch(INVISIBLE);
        expect(shown.length).toBeLessThanOrEqual(max);
        expect(visibleText(shown, max)).toBe(shown);
      }),
      { numRuns: 500 },
    );
  });

  test("attack 82: is visible in every field of a stored event, context keys included", async () => {
    const tenantId = newId("tenant");
    const nasty = "x\r\n\u202ey";
    await log.append(tenantId, [
      event({
        resource: nasty,
        actor: nasty,
        ip_address: nasty,
        user_agent: nasty,
        context: { [nasty]: { deep: [nasty] }, path: nasty },
      }),
    ]);
    const [stored] = eventsOf(await exportBlocks(tenantId));
    const shown = "x\\u000d\\u000a\\u202ey";
    expect(stored).toMatchObject({
      resource: shown,
      actor: shown,
      ip_address: shown,
      user_agent: shown,
      context: { [shown]: { deep: [shown] }, path: shown },
    });
  });
});

describe("an event's bounds", () => {
  test("hold for every field, and what was left out is said", () => {
    const huge = "x".repeat(100_000);
    const clean = cleanEvent(
      event({
        resource: huge,
        actor: huge,
        ip_address: huge,
        user_agent: huge,
        context: { status: 200, list: Array(9_999).fill(huge) },
      }),
    );
    expect(canonicalJson(clean).length).toBeLessThan(12_000);
    expect(clean?.context).toMatchObject({ status: 200, truncated: true });
    expect(clean?.user_agent?.endsWith("…")).toBe(true);
  });

  test("keep a context that fits as it is", () => {
    const context = {
      token_id: "tok_1",
      status: 429,
      duration_ms: 1.5,
      ok: false,
      none: null,
      path: ["/a", { b: 1 }],
    };
    expect(cleanEvent(event({ context }))?.context).toEqual(context);
  });

  test("turn what JSON cannot hold into what it can, so that no event can block its batch", () => {
    const context = {
      big: 1n,
      nan: Number.NaN,
      missing: undefined,
      nested: { a: { b: { c: { d: { e: 1 } } } } },
    };
    const clean = cleanEvent(event({ context }));
    expect(JSON.parse(canonicalJson(clean?.context))).toEqual({
      big: null,
      nan: "NaN",
      nested: { a: { b: { c: { d: "…" } } } },
    });
  });

  test("keep a member called __proto__ a member", () => {
    const clean = cleanEvent(event({ context: JSON.parse('{"__proto__": {"outcome": "success"}}') }));
    expect(canonicalJson(clean?.context)).toBe('{"__proto__":{"outcome":"success"}}');
  });

  test("bring timestamps into one form", () => {
    expect(cleanEvent(event({ timestamp: "2026-11-22T08:00:00+02:00" }))?.timestamp).toBe(
      "2026-11-22T06:00:00.000Z",
    );
  });
});
