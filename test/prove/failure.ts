import type { Mutation } from "./mutation.ts";

const DATABASE = ["test/worker/failures/database.test.ts"];
const OBJECTS = ["test/worker/failures/objects.test.ts"];
const KEYS = ["test/worker/failures/keys.test.ts"];
const OPENER = "src/vault/opener.ts";

export const FAILURE: readonly Mutation[] = [
  {
    attack: 68,
    what: "a token that cannot be looked up is not taken for one that nobody knows",
    file: "src/tokens/admission.ts",
    find: "    } catch (error) {\n      throw databaseAway(error);",
    replace: "    } catch {\n      return null;",
    tests: DATABASE,
  },
  {
    attack: 68,
    what: "where the database does not answer, nothing older stands in for what is asked",
    file: "src/base/epoch-cache.ts",
    find: "        throw databaseAway(error);",
    replace:
      "        const older = this.#entries.get(key);\n        if (older !== undefined) return older;\n        throw databaseAway(error);",
    tests: DATABASE,
  },
  {
    attack: 68,
    what: "a database that is silent is waited for 5 s and no longer",
    file: "src/base/single-flight.ts",
    find: "const LIMIT_MS = 5_000;",
    replace: "const LIMIT_MS = 500_000;",
    tests: DATABASE,
  },
  {
    attack: 68,
    what: "the control plane tells a database that is away from a failure of its own",
    file: "src/api/door.ts",
    find: "(awayOrNull(error) ??",
    replace: "(null ??",
    tests: DATABASE,
  },
  {
    attack: 68,
    what: "what the ledger did not take waits with the token",
    file: "durable-objects/handover.ts",
    find: "this.#waiting = [...batch.waiting, ...this.#waiting];",
    replace: "",
    tests: OBJECTS,
  },
  {
    attack: 68,
    what: "events that wait are found again after a crash",
    file: "durable-objects/scoped-token.ts",
    find: "if (slot.seq > this.#handover.acknowledged)",
    replace: "if (slot.seq < 0)",
    tests: OBJECTS,
  },
  {
    attack: 69,
    what: "how a key service fails stays inside, and is told apart from what does not open",
    file: "src/vault/kms/key-provider.ts",
    find: "if (error instanceof Problem) throw error;",
    replace: "throw error;",
    tests: KEYS,
  },
  {
    attack: 69,
    what: "a key service that is silent is waited for 5 s and no longer",
    file: "src/vault/kms/key-provider.ts",
    find: "const DEADLINE_MS = 5_000;",
    replace: "const DEADLINE_MS = 500_000;",
    also: [
      {
        file: "src/base/single-flight.ts",
        find: "const LIMIT_MS = 5_000;",
        replace: "const LIMIT_MS = 500_000;",
      },
    ],
    tests: KEYS,
  },
  {
    attack: 69,
    what: "a data key is kept only when it has opened its value",
    file: OPENER,
    find: "    const value = await openWith(key, binding, envelope);\n    deks.set(versionId, { key, until: this.#clock() + DEK_TTL_MS });",
    replace:
      "    deks.set(versionId, { key, until: this.#clock() + DEK_TTL_MS });\n    const value = await openWith(key, binding, envelope);",
    tests: KEYS,
  },
  {
    attack: 69,
    what: "warm calls have what they need at hand",
    file: OPENER,
    find: "return left > 0 && left <= DEK_TTL_MS ? held.key : null;",
    replace: "return left > DEK_TTL_MS ? held.key : null;",
    also: [
      {
        file: "src/gateway/armed.ts",
        find: "if (armed === undefined || armed.until <= now",
        replace: "if (armed === undefined || armed.until > 0",
      },
    ],
    tests: KEYS,
  },
];
