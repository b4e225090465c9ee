const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A secret on its way through the code. Printing, logging, spreading or serialising it says `[redacted]`;
 * the one way to the value is `.reveal()`, so that every place that touches a plaintext can be grepped.
 */
export class Redacted {
  readonly #value: Uint8Array;
  #text: string | undefined;

  constructor(value: Uint8Array | string) {
    this.#value = typeof value === "string" ? encoder.encode(value) : value;
  }

  /** The bytes themselves (not a copy). */
  revealBytes(): Uint8Array {
    return this.#value;
  }

  /** The bytes as UTF-8 text; throws `TypeError` where they are not UTF-8. */
  reveal(): string {
    this.#text ??= decoder.decode(this.#value);
    return this.#text;
  }

  toString(): string {
    return "[redacted]";
  }

  toJSON(): string {
    return "[redacted]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[redacted]";
  }
}
