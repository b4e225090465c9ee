import { z } from "zod";

export type Json = Readonly<Record<string, unknown>>;

/** JSON Schemas of zod schemas; those with an `id` in their metadata stand once, under `components`. */
export class Schemas {
  readonly named: Record<string, unknown> = {};

  /** What goes over the wire: a schema's input. */
  of(schema: z.ZodType): Json {
    const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io: "input", override: tidy });
    for (const [name, definition] of Object.entries($defs)) this.named[name] ??= pointed(definition);
    const { id } = z.globalRegistry.get(schema) ?? {};
    if (id === undefined) return pointed(own) as Json;
    this.named[id] ??= pointed(own);
    return { $ref: `#/components/schemas/${id}` };
  }
}

/** The same with references to where components stand, and without the `id` that zod leaves in definitions. */
function pointed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pointed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      key === "$ref" && typeof part === "string"
        ? part.replace("#/$defs/", "#/components/schemas/")
        : pointed(part),
    ]),
  );
}

/** Leaves out what only repeats the format or the limits of JavaScript's numbers. */
function tidy({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (
    jsonSchema.propertyNames?.constructor === Object &&
    Object.keys(jsonSchema.propertyNames).join() === "type"
  )
    delete jsonSchema.propertyNames;
}
