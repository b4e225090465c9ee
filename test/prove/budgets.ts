import type { Mutation } from "./mutation.ts";

const EXACT = ["test/worker/budgets/exactness.test.ts"];
const SLICES = ["test/worker/budgets/slices.property.test.ts"];
const TALLIES = ["test/worker/tokens/tallies.test.ts"];
const BOOK = "src/budgets/book-ledger.ts";
const SHARE = "src/budgets/share.ts";

export const BUDGETS: readonly Mutation[] = [
  {
    attack: 63,
    what: "what a token has for itself is held against what it has spent",
    file: SHARE,
    find: "if (!claim.shared && total > claim.limit) return exceeded;",
    replace: "",
    tests: EXACT,
  },
  {
    attack: 63,
    what: "a token spends no more of a shared budget than its slice",
    file: SHARE,
    find: "if (terms === claim.version && total <= granted) continue;",
    replace: "if (terms === claim.version) continue;",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "a slice that was granted at another version counts for nothing",
    file: SHARE,
    find: "if (terms === claim.version && total <= granted) continue;",
    replace: "if (total <= granted) continue;",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "slices together are no more than the limit",
    file: BOOK,
    find: "this.#set(holder, holder.granted + Math.min(slice, left));",
    replace: "this.#set(holder, holder.granted + slice);",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "the book takes no answer to a recall after which it has granted",
    file: BOOK,
    find: "|| version !== holder.version) return false;",
    replace: ") return false;",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "a token takes no older word of the book for a newer one",
    file: SHARE,
    find: "} else if (answer.version > share.version) {",
    replace: "} else {",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "what is recalled is not spent any more",
    file: SHARE,
    find: "share.granted = Math.min(share.granted, share.spent);",
    replace: "",
    tests: SLICES,
  },
  {
    attack: 63,
    what: "the book asks for what others hold before it says that nothing is left",
    file: BOOK,
    find: "if (holders.length > 0) return",
    replace: "if (false) return",
    tests: EXACT,
  },
  {
    attack: 64,
    what: "what is spent of a budget is in the slot of the use",
    file: "durable-objects/scoped-token.ts",
    find: "...(shares === undefined ? {} : { shares }),\n    };\n    // As text",
    replace: "};\n    // As text",
    tests: EXACT,
  },
  {
    attack: 64,
    what: "a slice is written before it is handed out",
    file: "durable-objects/budget-book.ts",
    find: "if (said.saves) this.#save(ask.holder);",
    replace: "",
    tests: EXACT,
  },
  {
    attack: 63,
    what: "a permission's sums have a maximum",
    file: "durable-objects/tallies.ts",
    find: "|| !(sum <= max)",
    replace: "",
    tests: TALLIES,
  },
  {
    attack: 63,
    what: "a permission's sums are in the slot of the use",
    file: "durable-objects/scoped-token.ts",
    find: "...(sums === undefined ? {} : { sums }),",
    replace: "",
    tests: TALLIES,
  },
];
