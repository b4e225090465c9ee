import type { Mutation } from "./mutation.ts";

const CHILDREN = "durable-objects/children.ts";
const BOUNDS = "src/tokens/child-bounds.ts";
const EXACTNESS = ["test/worker/tokens/children-exactness.test.ts"];
const NARROWING = ["test/worker/tokens/children-narrowing.test.ts"];
const FAMILY = ["test/worker/tokens/children.test.ts"];

/** Children of tokens: charged to everything above them, never more than it, ended with it. */
export const CHILD_TOKENS: readonly Mutation[] = [
  {
    attack: 63,
    what: "a child's own uses are counted",
    file: CHILDREN,
    find: "this.#uses(tokenId) + 1,",
    replace: "this.#uses(tokenId),",
    tests: EXACTNESS,
  },
  {
    attack: 63,
    what: "a child's call is held against its root's uses",
    file: "src/tokens/line.ts",
    find: "maxUses: root.maxUses,",
    replace: "maxUses: null,",
    tests: EXACTNESS,
  },
  {
    attack: 63,
    what: "what a slot holds of children is saved before it is written over",
    file: CHILDREN,
    find: "if (this.#unsavedFrom !== null && old >= this.#unsavedFrom) this.#save(next, now);",
    replace: "void [old, next, now];",
    tests: EXACTNESS,
  },
  {
    attack: 63,
    what: "a child's scopes lie within its parent's",
    file: BOUNDS,
    find: "if (outside !== undefined)",
    replace: "if (outside === null)",
    tests: NARROWING,
  },
  {
    attack: 63,
    what: "a child's calls lie within its parent's",
    file: BOUNDS,
    find: "if (inner.paths === undefined) return false;",
    replace: "if (inner.paths === undefined) return true;",
    tests: NARROWING,
  },
  {
    attack: 63,
    what: "children are counted and written in one statement",
    file: "src/tokens/child-tokens.ts",
    find: "< ${MAX_CHILDREN}",
    replace: "< ${MAX_CHILDREN} + 100",
    tests: FAMILY,
  },
  {
    attack: 57,
    what: "a token's revocation reaches what descends from it",
    file: CHILDREN,
    find: 'if (line.some(({ tokenId }) => this.#revoked.has(tokenId))) return { reason: "revoked" };',
    replace: 'if (this.#revoked.has(line.at(-1)?.tokenId ?? "")) return { reason: "revoked" };',
    tests: FAMILY,
  },
  {
    attack: 66,
    what: "an open stream ends with any token that its own descends from",
    file: "src/gateway/open-streams.ts",
    find: "isInLine(grant, lease.revoked)",
    replace: "lease.revoked.includes(grant.tokenId)",
    tests: FAMILY,
  },
];
