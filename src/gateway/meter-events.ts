import type { Found } from "../budgets/usage.ts";
import { JsonFields } from "./meter-json.ts";

const LF = 0x0a;
const CR = 0x0d;
const DATA = "data:";

/** The same in the data of server-sent events, each a root of its own. */
export class EventFields {
  readonly #fields: JsonFields;
  /** The first characters of the line, until they say what it is. */
  #name = "";
  #line: "new" | "data" | "other" = "new";
  #isAfterReturn = false;

  constructor(paths: Iterable<string>) {
    this.#fields = new JsonFields(paths);
  }

  get found(): Found {
    return this.#fields.found;
  }

  see(bytes: Uint8Array): void {
    let from = 0;
    for (const [at, byte] of bytes.entries()) {
      if (byte !== LF && byte !== CR) {
        this.#isAfterReturn = false;
        if (this.#line === "new") {
          this.#begin(byte);
          from = at + 1;
        }
        continue;
      }
      const isSecond = byte === LF && this.#isAfterReturn;
      this.#isAfterReturn = byte === CR;
      if (isSecond) {
        from = at + 1;
        continue;
      }
      // What ends here ends a value as well; an empty line ends the event.
      if (this.#line === "data") this.#fields.see(bytes.subarray(from, at + 1));
      else if (this.#line === "new" && this.#name === "") this.#fields.restart();
      this.#line = "new";
      this.#name = "";
      from = at + 1;
    }
    if (this.#line === "data" && from < bytes.length) this.#fields.see(bytes.subarray(from));
  }

  end(): void {
    this.#fields.end();
  }

  #begin(byte: number): void {
    this.#name += String.fromCharCode(byte);
    if (this.#name === DATA) this.#line = "data";
    else if (!DATA.startsWith(this.#name)) this.#line = "other";
  }
}
