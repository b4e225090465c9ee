/** A file whose bytes stand in place of a text or data value; relative to the config file. */
export class Embed {
  readonly file: string;
  constructor(file: string) {
    this.file = file;
  }
}

/** What workerd's configuration is made of: structs, lists, texts, numbers, booleans, embedded files. */
export type CapnpValue =
  | string
  | number
  | boolean
  | Embed
  | readonly CapnpValue[]
  | { readonly [field: string]: CapnpValue | undefined };

/**
 * A value in Cap'n Proto's text format, the format of `workerd serve`'s config file. Field names are those of
 * workerd.capnp; fields that are undefined are left out.
 */
export function toCapnp(value: CapnpValue): string {
  if (value instanceof Embed) return `embed ${quote(value.file)}`;
  if (typeof value === "string") return quote(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (isList(value)) return `[${value.map(toCapnp).join(", ")}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${name} = ${toCapnp(field)}`],
  );
  return `(${fields.join(", ")})`;
}

function isList(value: readonly CapnpValue[] | object): value is readonly CapnpValue[] {
  return Array.isArray(value);
}

/** Control characters are written as bytes; the rest is UTF-8 as it stands. */
function quote(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are exactly what is to be escaped
  const escaped = text.replace(/["\\\u0000-\u001f\u007f]/g, (char) =>
    char === '"' || char === "\\" ? `\\${char}` : `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `"${escaped}"`;
}
