import { z } from "zod";
import { defineKind } from "../kind.ts";
import { parameterName, withParameter, withoutParameter } from "../parameters.ts";
import { secretText } from "../secret-text.ts";

/** A query parameter: `?key={secret}`, percent-encoded, behind the client's own. */
export const query = defineKind({
  kind: "query",
  options: z.strictObject({ name: parameterName }),
  needsBody: false,
  secretNames: () => ["secret"],
  strip(outgoing, { name }) {
    outgoing.query = withoutParameter(outgoing.query, name);
  },
  inject(outgoing, { name }, secrets) {
    outgoing.query = withParameter(outgoing.query, name, secretText(secrets, "secret"));
  },
  renderings: (_options, secrets) => [secretText(secrets, "secret")],
});
