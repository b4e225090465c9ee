import fc from "fast-check";

// oxlint-disable-next-line typescript/no-explicit-any -- JSON Schema, as a document has it.
type Schema = any;

const MAX_ITEMS = 3;
const MAX_DEPTH = 6;

/** What people and attackers put where text is expected. */
const ODD_TEXT = fc.constantFrom(
  "",
  " ",
  "0",
  "-1",
  "null",
  "__proto__",
  "constructor",
  "\u0000",
  "\uFEFF",
  "\u{1F511}",
  "\u202Eabc",
  "../../etc/passwd",
  "%2e%2e%2f",
  "' OR 1=1 --",
  "<script>alert(1)</script>",
  "${7*7}",
  "a".repeat(5_000),
);

/** Values that a JSON Schema (2020-12, as zod writes it) takes, and with `oddness` (0 to 1) some that it does not. */
export function fromSchema(schema: Schema, root: Schema, oddness: number, depth = 0): fc.Arbitrary<unknown> {
  const good = valuesOf(schema, root, oddness, depth);
  if (oddness === 0) return good;
  const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), ODD_TEXT, fc.constant(undefined));
  return fc.oneof(
    { weight: Math.round((1 - oddness) * 100), arbitrary: good },
    { weight: Math.round(oddness * 100), arbitrary: odd },
  );
}

function valuesOf(schema: Schema, root: Schema, oddness: number, depth: number): fc.Arbitrary<unknown> {
  const below = (part: Schema) => fromSchema(part, root, oddness, depth + 1);
  if (depth > MAX_DEPTH) return fc.constant(null);
  if (schema.$ref !== undefined) return below(pointed(schema.$ref, root));
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const either = schema.anyOf ?? schema.oneOf;
  if (either !== undefined) return fc.oneof(...either.map(below));
  switch (schema.type) {
    case "object":
      return objects(schema, below, oddness);
    case "array":
      return fc.array(below(schema.items ?? {}), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, Math.min(schema.maxItems ?? MAX_ITEMS, MAX_ITEMS)),
      });
    case "string":
      return strings(schema);
    case "integer":
      return fc.integer({
        min: schema.minimum ?? -1_000,
        max: Math.min(schema.maximum ?? 2_147_483_647, 2_147_483_647),
      });
    case "number":
      return fc.double({ min: schema.minimum ?? -1e9, max: schema.maximum ?? 1e9, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 2 });
  }
}

function objects(
  schema: Schema,
  below: (part: Schema) => fc.Arbitrary<unknown>,
  oddness: number,
): fc.Arbitrary<unknown> {
  const named = Object.entries<Schema>(schema.properties ?? {});
  const known = fc.record(Object.fromEntries(named.map(([name, part]) => [name, below(part)])), {
    requiredKeys: schema.required ?? [],
  });
  const others = schema.additionalProperties;
  const names = fc.oneof(fc.stringMatching(/^[a-z_]{1,12}$/), ODD_TEXT);
  const more =
    others === false || others === undefined
      ? oddness === 0
        ? fc.constant({})
        : fc.oneof(
            { weight: 9, arbitrary: fc.constant({}) },
            fc.dictionary(names, fc.jsonValue(), { maxKeys: 1 }),
          )
      : fc.dictionary(names, below(others), { maxKeys: MAX_ITEMS });
  return fc.tuple(known, more).map(([one, other]) => ({ ...other, ...one }));
}

function strings(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === "date-time") {
    const max = new Date("2100-01-01");
    return fc.date({ min: new Date(0), max, noInvalidDate: true }).map((date) => date.toISOString());
  }
  if (schema.pattern !== undefined) {
    try {
      return fc.stringMatching(new RegExp(schema.pattern), { maxLength: schema.maxLength ?? 100 });
    } catch {
      // A pattern that cannot be generated from.
    }
  }
  const bounds = { minLength: schema.minLength ?? 0, maxLength: Math.min(schema.maxLength ?? 40, 40) };
  return fc.oneof(fc.string(bounds), fc.string({ ...bounds, unit: "grapheme" }));
}

function pointed(reference: string, root: Schema): Schema {
  return reference
    .split("/")
    .slice(1)
    .reduce((part: Schema, name) => part[name], root);
}
