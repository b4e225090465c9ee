import type { Mutation } from "./mutation.ts";

const DIGEST = "src/approvals/digest.ts";
const DIGEST_TESTS = ["test/worker/gateway/approvals-digest.test.ts"];
const ONCE_TESTS = ["test/worker/gateway/approvals-once.test.ts"];
const ATTACKS = ["test/attacks/approval-calls.test.ts"];

export const APPROVAL_CALLS: readonly Mutation[] = [
  {
    attack: 75,
    what: "an approval of a call covers every byte of its body",
    file: DIGEST,
    find: "body: body === null ? null : { bytes: body.byteLength, sha256: sha256Hex(body) },",
    replace: "body: body === null ? null : { bytes: body.byteLength },",
    tests: ATTACKS,
  },
  {
    attack: 75,
    what: "an approval of a call covers its query",
    file: DIGEST,
    find: "target: { scheme, authority, path, query },",
    replace: "target: { scheme, authority, path },",
    tests: DIGEST_TESTS,
  },
  {
    attack: 75,
    what: "an approval of a call covers the headers that are sent",
    file: DIGEST,
    find: "headers: coveredHeaders(call.headers),",
    replace: "headers: [],",
    tests: DIGEST_TESTS,
  },
  {
    attack: 75,
    what: "an approval of a call is the asking agent's, for the purpose that was shown",
    file: DIGEST,
    find: "      purpose,\n",
    replace: "",
    tests: DIGEST_TESTS,
  },
  {
    attack: 76,
    what: "a call that people have to approve does not leave before its approval is used up",
    file: "src/gateway/admit.ts",
    find: "      await covered(call, gateway, approval, decided);\n",
    replace: "",
    tests: ONCE_TESTS,
  },
  {
    attack: 76,
    what: "an approval with which a call has left is given back to nobody",
    file: "src/gateway/proxy.ts",
    find: "if (!hasLeft) await approval.giveBack();",
    replace: "await approval.giveBack();",
    tests: ONCE_TESTS,
  },
  {
    attack: 76,
    what: "what is given back late frees no claim that came after it",
    file: "src/gateway/approval.ts",
    find: "    this.#returns++;\n",
    replace: "",
    tests: ONCE_TESTS,
  },
  {
    attack: 79,
    what: "an approval covers the versions of the policies that asked",
    file: DIGEST,
    find: "policies: call.policies.map(({ id, version }) => ({ id, version })),",
    replace: "policies: call.policies.map(({ id }) => ({ id })),",
    tests: ATTACKS,
  },
  {
    attack: 79,
    what: "an approval covers the versions of the secrets that the call uses",
    file: DIGEST,
    find: "{ id: secretId, path: at, version_id: versionId, version, tier },",
    replace: "{ id: secretId, path: at, tier },",
    tests: ATTACKS,
  },
  {
    attack: 79,
    what: "an approval covers the connection as it was configured",
    file: DIGEST,
    find: "connection: configurationOf(call.connection),",
    replace: "connection: call.connection.id,",
    tests: ATTACKS,
  },
  {
    attack: 79,
    what: "no approval is used up on what may be out of date",
    file: "src/gateway/admit.ts",
    find: "if (needsPeople && confirmation !== null && decidedOn === lease) {",
    replace: "if (needsPeople && confirmation !== null && decidedOn === lease && Date.now() < 0) {",
    tests: ONCE_TESTS,
  },
  {
    attack: 79,
    what: "a call that was charged and then needs people does not leave",
    file: "src/gateway/admit.ts",
    find: "if (!approval.covers(decided) || ",
    replace: "if (",
    tests: ONCE_TESTS,
  },
  {
    attack: 79,
    what: "a call that is decided anew needs the approval of what was decided then",
    file: "src/gateway/approval.ts",
    find: "if (this.#held !== null && this.#held.digest !== asked?.digest) await this.giveBack();",
    replace: "",
    tests: ONCE_TESTS,
  },
];
