import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { durationSchema } from "../../../src/base/duration.ts";
import { decodeCursor, encodeCursor } from "../../../src/base/page.ts";
import { outcomeOf } from "../../fuzz/input.ts";
import { checkDotenv, checkPlain } from "../../fuzz/targets/dotenv.ts";
import { checkFilled, checkForm, checkJson } from "../../fuzz/targets/references.ts";

const runs = { numRuns: 500, seed: 20_261_122 };
const REFERENCE = "vault://mine/KEY ";
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        REFERENCE,
        "vault://mine/a/B",
        "vault://other/KEY",
        "vault://",
        "vault%3A%2F%2Fmine%2FKEY",
        '"',
        "\\",
        "&",
        "=",
      ),
      fc.string({ maxLength: 5 }),
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(""));
const placed = fc
  .array(fc.oneof(fc.constant(REFERENCE), fc.string({ maxLength: 6 })), { maxLength: 4 })
  .map((parts) => parts.join(""));
const latin1 = (value: string): string => Buffer.from(value, "utf8").toString("latin1");

describe("a vault:// reference", () => {
  it("opens only what the token may use, and what holds none stays byte for byte", () => {
    const type = fc.constantFrom("text/plain", "application/json", "application/x-www-form-urlencoded");
    fc.assert(
      fc.property(text, text, text, type, (header, query, body, media) =>
        checkFilled(latin1(header), latin1(query), latin1(body), media),
      ),
      runs,
    );
  });

  it.each(["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"])(
    "puts a secret into a string of a document and never beyond it: %s",
    (type) => {
      const document = fc.letrec((tie) => ({
        value: fc.oneof(
          { maxDepth: 3 },
          placed,
          fc.integer(),
          fc.array(tie("value"), { maxLength: 3 }),
          fc.dictionary(placed, tie("value"), { maxKeys: 3 }),
        ),
      }));
      fc.assert(
        fc.property(document.value, (value) => checkJson(value, type)),
        runs,
      );
    },
  );

  it.each(["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded;charset=utf-8"])(
    "puts a secret into a pair of a form, or of a query, and never beyond it: %s",
    (type) => {
      fc.assert(
        fc.property(fc.array(fc.tuple(placed, placed), { maxLength: 4 }), (pairs) => checkForm(pairs, type)),
        runs,
      );
    },
  );
});

describe("text from outside", () => {
  it("is read as .env, or refused by its line, and comes out whole", () => {
    const line = fc
      .array(
        fc.oneof(
          fc.constantFrom(
            "A",
            "B=",
            "export ",
            '"',
            "'",
            "`",
            "#",
            " #",
            "\\",
            "\\n",
            "$",
            "\n",
            "\r",
            "\t",
            "\u00a0",
            "\u2028",
          ),
          fc.string({ maxLength: 3 }),
        ),
        {
          maxLength: 15,
        },
      )
      .map((parts) => parts.join(""));
    fc.assert(fc.property(line, checkDotenv), { ...runs, numRuns: 2_000 });
    fc.assert(fc.property(fc.string({ unit: "binary" }), checkDotenv), runs);
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), checkPlain), runs);
    checkPlain("secret\u00a0");
  });

  it("is a duration only within its bounds, and means its seconds", () => {
    const schema = durationSchema({ minSeconds: 30, maxSeconds: 86_400, example: "30m" });
    const seconds = { s: 1, m: 60, h: 3600, d: 86_400 };
    const unit = fc.constantFrom("s", "m", "h", "d" as const);
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 10_000_000 }), unit, (count, letter) => {
        const meant = count * seconds[letter as "s"];
        const isValid = meant >= 30 && meant <= 86_400;
        expect(schema.safeParse(`${count}${letter}`).data).toBe(isValid ? meant : undefined);
        for (const other of [`0${count}`, `+${count}`, ` ${count}`, `${count}.0`, `${count} `])
          expect(schema.safeParse(`${other}${letter}`).success).toBe(false);
      }),
      runs,
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 9 }), (other) => {
        expect(schema.safeParse(other).success && !/^[1-9][0-9]*[smhd]$/.test(other)).toBe(false);
      }),
      runs,
    );
  });

  it("is a cursor only where one was made like it, and throws nothing but a problem", () => {
    const schema = z.tuple([z.string().max(40), z.number().int()]);
    const key = fc.tuple(fc.string({ maxLength: 40 }), fc.integer());
    fc.assert(
      fc.property(key, (made) => void expect(decodeCursor(encodeCursor(made), schema)).toEqual(made)),
      runs,
    );
    const tried = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json().map((value) => Buffer.from(value).toString("base64url")),
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("base64url")),
    );
    fc.assert(
      fc.property(tried, (cursor) => {
        const outcome = outcomeOf(() => decodeCursor(cursor, schema));
        if ("problem" in outcome) expect(outcome.problem.code).toBe("VALIDATION_ERROR");
        else expect(schema.safeParse(outcome.value).success).toBe(true);
      }),
      runs,
    );
  });
});
