import type { RequestView } from "./request-view.ts";
import type { PolicyFacts, PolicySubject } from "./verdict.ts";

/*
 * What a condition sees, as classes that its language knows by their constructor. A field that is `undefined` is not
 * there: reading it is an error, which fails closed, and `has()` says false.
 */

type Values<T> = ReadonlyMap<string, T>;

export class RequestFacts {
  readonly #view: RequestView;
  #query: Values<unknown> | undefined;
  #headers: Values<string> | undefined;
  #size: bigint | undefined;
  #isPathSeen = false;

  constructor(view: RequestView) {
    this.#view = view;
  }

  /** A condition has looked at the path. No field of the language. */
  get isPathSeen(): boolean {
    return this.#isPathSeen;
  }

  get method(): string {
    return this.#view.method;
  }
  get path(): string {
    const { path } = this.#view;
    this.#isPathSeen = true;
    return path;
  }
  get host(): string {
    return this.#view.host;
  }
  get query(): Values<unknown> {
    return (this.#query ??= new Map(Object.entries(this.#view.query)));
  }
  get headers(): Values<string> {
    return (this.#headers ??= new Map(Object.entries(this.#view.headers)));
  }
  /** Null where the call has none; not there where it could not be read. */
  get body(): unknown {
    const { body } = this.#view;
    if (body.kind === "json" || body.kind === "form") return body.value;
    return body.kind === "none" ? null : undefined;
  }
  get size(): bigint | undefined {
    if (this.#view.size === null) return undefined;
    return (this.#size ??= BigInt(this.#view.size));
  }
}

export class AgentFacts {
  readonly id: string;
  readonly name: string | undefined;
  readonly trust_tier: string | undefined;

  constructor(agent: PolicyFacts["agent"]) {
    this.id = agent.id;
    this.name = agent.name ?? undefined;
    this.trust_tier = agent.trustTier ?? undefined;
  }
}

export class TokenFacts {
  readonly #token: NonNullable<PolicyFacts["token"]>;
  #context: Values<string> | undefined;

  constructor(token: NonNullable<PolicyFacts["token"]>) {
    this.#token = token;
  }

  get id(): string {
    return this.#token.id;
  }
  get scopes(): readonly string[] {
    return this.#token.scopes;
  }
  get tool(): string | undefined {
    return this.#token.tool ?? undefined;
  }
  get user(): string | undefined {
    return this.#token.user ?? undefined;
  }
  get context(): Values<string> {
    if (this.#context === undefined) {
      const context = new Map<string, string>();
      for (const [name, value] of Object.entries(this.#token.context))
        if (value !== undefined) context.set(name, value);
      this.#context = context;
    }
    return this.#context;
  }
  get issued_at(): Date {
    return new Date(this.#token.issuedAt);
  }
  get expires_at(): Date {
    return new Date(this.#token.expiresAt);
  }
}

export class ConnectionFacts {
  readonly slug: string;
  readonly provider: string | undefined;

  constructor(connection: NonNullable<PolicyFacts["connection"]>) {
    this.slug = connection.slug;
    this.provider = connection.provider ?? undefined;
  }
}

export class SecretFacts {
  readonly tier: string | undefined;

  constructor(tier: PolicyFacts["tier"]) {
    this.tier = tier ?? undefined;
  }
}

/** The fields of each, with their types in CEL. */
export const FACT_TYPES = {
  Request: {
    ctor: RequestFacts,
    fields: {
      method: "string",
      path: "string",
      host: "string",
      query: "map<string, dyn>",
      headers: "map<string, string>",
      body: "dyn",
      size: "int",
    },
  },
  Agent: { ctor: AgentFacts, fields: { id: "string", name: "string", trust_tier: "string" } },
  Token: {
    ctor: TokenFacts,
    fields: {
      id: "string",
      scopes: "list<string>",
      tool: "string",
      user: "string",
      context: "map<string, string>",
      issued_at: "google.protobuf.Timestamp",
      expires_at: "google.protobuf.Timestamp",
    },
  },
  Connection: { ctor: ConnectionFacts, fields: { slug: "string", provider: "string" } },
  Secret: { ctor: SecretFacts, fields: { tier: "string" } },
} as const;

const EVERYWHERE = {
  agent: "Agent",
  secret: "Secret",
  ip: "string",
  time: "google.protobuf.Timestamp",
} as const;
const ASKED = { ...EVERYWHERE, asked: "map<string, dyn>" } as const;

/** The variables of a condition, by what the policy is about, with their types in CEL. */
export const FACT_VARIABLES: Readonly<Record<PolicySubject, Readonly<Record<string, string>>>> = {
  calls: { ...EVERYWHERE, request: "Request", token: "Token", connection: "Connection" },
  tokens: ASKED,
  permissions: ASKED,
};

/** The values of the variables; one that is not there is undefined, and reading it is an error. */
export function activationOf(facts: PolicyFacts): Record<string, unknown> {
  return {
    request: facts.request === null ? undefined : new RequestFacts(facts.request),
    asked: facts.asked ?? undefined,
    agent: new AgentFacts(facts.agent),
    token: facts.token === null ? undefined : new TokenFacts(facts.token),
    connection: facts.connection === null ? undefined : new ConnectionFacts(facts.connection),
    secret: new SecretFacts(facts.tier),
    ip: facts.ip ?? undefined,
    time: new Date(facts.now),
  };
}
