import type { Mutation } from "./mutation.ts";

const PASSKEYS_TEST = ["test/worker/identity/passkeys.test.ts"];
const REVEAL_TEST = ["test/worker/vault/reveal.test.ts"];

/** Signing in by passkey, and reading plaintext as a person. */
export const PASSKEYS: readonly Mutation[] = [
  {
    attack: 85,
    what: "an answer that an authenticator gave within another site's frame is refused",
    file: "src/identity/webauthn.ts",
    find: '("crossOrigin" in said && said.crossOrigin !== false)',
    replace: "false",
    tests: PASSKEYS_TEST,
  },
  {
    attack: 85,
    what: "an answer is taken from the browser that was asked for it",
    file: "src/identity/passkey-sign-in.ts",
    find: "await verifyAssertion(input, challenge.challenge, this.#origin, found)",
    replace:
      'await verifyAssertion(input, JSON.parse(Buffer.from(input.response.clientDataJSON, "base64url").toString()).challenge, this.#origin, found)',
    tests: PASSKEYS_TEST,
  },
  {
    attack: 85,
    what: "the sign-in page may be framed by nobody",
    file: "src/api/pages/page-frame.ts",
    find: `    "frame-ancestors 'none'",`,
    replace: "",
    also: [{ file: "src/api/pages/page-frame.ts", find: '  "x-frame-options": "DENY",', replace: "" }],
    tests: ["test/local/passkeys.test.ts"],
  },
  {
    attack: 74,
    what: "nobody approves their own grant to read plaintext",
    file: "src/vault/reveal-grants.ts",
    find: "if (row.memberId === memberId) {",
    replace: "if (row.memberId !== row.memberId) {",
    also: [
      {
        file: "src/vault/reveal-grants.ts",
        find: "where ${waits} and member_id <> ?5) returning seq",
        replace: "where ${waits} and ?5 is not null) returning seq",
      },
      {
        file: "src/vault/reveal-grants.ts",
        find: "           where ${waits} and member_id <> ?5`",
        replace: "           where ${waits}`",
      },
      {
        file: "src/identity/kinship.ts",
        find: "return reach(one, (member) => near.get(member) ?? []).has(other);",
        replace: "return one !== other && reach(one, (member) => near.get(member) ?? []).has(other);",
      },
    ],
    tests: REVEAL_TEST,
  },
  {
    attack: 74,
    what: "nobody approves for whom they enrolled just now, nor for who enrolled them",
    file: "src/vault/reveal-grants.ts",
    find: "if (await this.#mayBeOne(tenantId, memberId, row.memberId)) {",
    replace: "if (memberId === row.memberId) {",
    tests: REVEAL_TEST,
  },
  {
    attack: [76, 77],
    what: "a grant is approved while it waits, and once",
    file: "src/vault/reveal-grants.ts",
    find: "tenant_id = ?1 and id = ?2 and starts_at is null and ended_at is null and expires_at > ?3",
    replace: "tenant_id = ?1 and id = ?2 and ?3 is not null",
    tests: REVEAL_TEST,
  },
  {
    attack: 87,
    what: "a credential for scripts gets no grant to read plaintext",
    file: "src/api/admit.ts",
    find: "if (!person || !member.script) return member;",
    replace: "if (!person || member.script !== null) return member;",
    also: [
      {
        file: "src/api/step-up.ts",
        find: "if (caller.script) return;",
        replace: "if (caller.script !== null) return;",
      },
    ],
    tests: REVEAL_TEST,
  },
  {
    attack: 47,
    what: "the answer with the plaintext is not kept for repeats",
    file: "src/vault/reveal-routes.ts",
    find: "idempotent: false,",
    replace: "",
    tests: REVEAL_TEST,
  },
];
