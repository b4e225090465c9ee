import { z } from "zod";
import { Problem } from "../base/problem.ts";
import { faultsOf } from "../base/request.ts";
import type { CredentialKind } from "./kind.ts";
import { basic } from "./kinds/basic.ts";
import { bearer } from "./kinds/bearer.ts";
import { body } from "./kinds/body.ts";
import { header } from "./kinds/header.ts";
import { path } from "./kinds/path.ts";
import { query } from "./kinds/query.ts";

const ALL: readonly CredentialKind[] = [basic, bearer, body, header, path, query];

/** Every credential kind by its name. */
export const credentialKinds: ReadonlyMap<string, CredentialKind> = new Map(
  ALL.map((kind) => [kind.kind, kind]),
);

const credential = z.looseObject({ kind: z.string() });

function invalid(issues: readonly z.core.$ZodIssue[]): Problem {
  return new Problem("VALIDATION_ERROR", "The credential is not valid.", {
    errors: faultsOf(issues).map(({ path, message }) => ({
      path: path ? `credential.${path}` : "credential",
      message,
    })),
  });
}

/**
 * Parses a connection's or provider's `credential`: `{ kind, …options }`. Throws `VALIDATION_ERROR` with paths below
 * `credential`; unknown kinds and options are refused. No value that was sent is repeated in the message: people
 * paste secrets into the wrong field.
 */
export function parseCredential(input: unknown): { kind: CredentialKind; options: unknown } {
  const parsed = credential.safeParse(input);
  if (!parsed.success) throw invalid(parsed.error.issues);
  const { kind: name, ...rest } = parsed.data;
  const kind = credentialKinds.get(name);
  if (kind === undefined) {
    throw new Problem("VALIDATION_ERROR", "The credential is not valid.", {
      errors: [
        { path: "credential.kind", message: `must be one of ${[...credentialKinds.keys()].join(", ")}` },
      ],
    });
  }
  const options = kind.options.safeParse(rest);
  if (!options.success) throw invalid(options.error.issues);
  return { kind, options: options.data };
}
