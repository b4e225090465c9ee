import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

// oxlint-disable-next-line typescript/no-explicit-any -- a document that comes over the wire; ajv says what it is.
type Document = any;

export interface SeenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A gateway's own description, and whether answers are as it says. */
export class Contract {
  readonly document: Document;
  readonly #ajv: Ajv2020;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Document) {
    this.document = document;
    this.#ajv = newAjv();
    this.#ajv.addSchema(document, "api", false);
  }

  /** What is wrong with an answer: a sentence, or null. Paths that are not described are not the contract's matter. */
  faultOf(method: string, path: string, answer: SeenAnswer): string | null {
    const template = this.#templateOf(path, method);
    const operation = this.document.paths[template ?? ""]?.[method.toLowerCase()];
    if (template === null || operation === undefined) return null;
    const place = ["paths", template, method.toLowerCase(), "responses", String(answer.status)];
    let response = operation.responses[answer.status];
    if (response === undefined) return `${method} ${template} may not answer ${answer.status}`;
    if (response.$ref !== undefined) {
      place.splice(0, place.length, ...response.$ref.split("/").slice(1));
      response = this.#at(response.$ref);
    }
    const missing = this.#missingHeader(response, answer.headers);
    if (missing !== null) return `${method} ${template} answered ${answer.status} without ${missing}`;
    if (response.content === undefined) {
      return answer.text === "" ? null : `${method} ${template} answered ${answer.status} with a body`;
    }
    const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const media = response.content[type];
    if (media === undefined) return `${method} ${template} answered ${answer.status} as "${type}"`;
    if (media.schema === undefined) return null;
    const validate = this.#validator([...place, "content", type, "schema"]);
    if (validate(JSON.parse(answer.text))) return null;
    return `${method} ${template} answered ${answer.status}: ${this.#ajv.errorsText(validate.errors)}`;
  }

  #missingHeader(response: Document, headers: Headers): string | null {
    for (const [name, reference] of Object.entries<Document>(response.headers ?? {})) {
      if (this.#at(reference.$ref).required && !headers.has(name)) return name;
    }
    return null;
  }

  #at(reference: string): Document {
    return reference
      .split("/")
      .slice(1)
      .reduce((part: Document, name) => part[name], this.document);
  }

  #validator(place: readonly string[]): ValidateFunction {
    const pointer = place
      .map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")))
      .join("/");
    const known = this.#validators.get(pointer);
    if (known !== undefined) return known;
    const made = this.#ajv.compile({ $ref: `api#/${pointer}` });
    this.#validators.set(pointer, made);
    return made;
  }

  /** The template with most text of its own that a path matches and that takes the method. */
  #templateOf(path: string, method: string): string | null {
    const asked = decoded(path.split("?")[0] ?? "");
    const ownText = (template: string) => template.replaceAll(/\{.*?\}/g, "").length;
    const matching = Object.entries<Document>(this.document.paths).filter(([template, operations]) => {
      const operation = operations[method.toLowerCase()];
      if (operation === undefined) return false;
      const pattern = template.replaceAll(".", String.raw`\.`).replaceAll(/\{([a-z_]+)\}/g, (_, name) => {
        const parameter = operation.parameters.find((one: Document) => one.name === name);
        return parameter["x-slashes"] ? "[^]+" : "[^/]+";
      });
      return new RegExp(`^${pattern}$`).test(asked);
    });
    const templates = matching.map(([template]) => template);
    return templates.toSorted((a, b) => ownText(b) - ownText(a))[0] ?? null;
  }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // As it is: no endpoint reads it either.
    return path;
  }
}

/** ajv for JSON Schema 2020-12, which OpenAPI 3.1 uses. */
export function newAjv(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addFormat("media-range", true);
  return ajv;
}

let contract: Promise<Contract | null> | undefined;

/** Every gateway of a test run is of one build: the first that answers is asked. */
async function contractOf(url: string): Promise<Contract | null> {
  contract ??= readContract(url);
  const read = await contract;
  if (read === null) contract = undefined;
  return read;
}

async function readContract(url: string): Promise<Contract | null> {
  const response = await fetch(`${url}/v1/openapi.json`, { signal: AbortSignal.timeout(10_000) }).catch(
    () => null,
  );
  if (response === null) return null;
  const text = await response.text();
  return response.ok ? new Contract(JSON.parse(text)) : null;
}

/** Throws where an answer of the gateway's API is not as its description says. */
export async function checkContract(
  url: string,
  method: string,
  path: string,
  answer: SeenAnswer,
): Promise<void> {
  if (path.startsWith("/proxy/")) return;
  const fault = (await contractOf(url))?.faultOf(method, path, answer) ?? null;
  if (fault !== null) throw new Error(`undocumented: ${fault}`);
}
