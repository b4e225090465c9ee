import type { Mutation } from "./mutation.ts";

const PAGE_TEST = ["test/local/approvals-page.test.ts"];

/** The pages on which people answer. */
export const PAGES: readonly Mutation[] = [
  {
    attack: 85,
    what: "the pages on approvals may be framed by nobody, and run nothing but their own script",
    file: "src/api/pages/approvals-page.ts",
    find: "    responses: html,\n    handler: () => answerPage(PAGE),\n  }),\n];",
    replace:
      '    responses: html,\n    handler: () => new Response(PAGE, { headers: { "content-type": "text/html" } }),\n  }),\n];',
    tests: PAGE_TEST,
  },
];
