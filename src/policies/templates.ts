import { z } from "zod";
import { Problem } from "../base/problem.ts";
import type { PolicyContent } from "./tables.ts";
import { ACCESS_TEMPLATES } from "./templates-access.ts";
import { BODY_TEMPLATES } from "./templates-body.ts";
import type { Template } from "./template.ts";

/** The common ones. What they make is an ordinary policy: it can be read, tested and changed like any. */
export const TEMPLATES: ReadonlyMap<string, Template> = new Map(
  [...ACCESS_TEMPLATES, ...BODY_TEMPLATES].map((template) => [template.id, template]),
);

/** What a template makes of its parameters. Throws VALIDATION_ERROR. */
export function expandTemplate(
  id: string,
  parameters: Readonly<Record<string, unknown>>,
): Pick<PolicyContent, "effect" | "condition" | "message"> {
  const template = TEMPLATES.get(id);
  if (template === undefined) {
    const message = "is none of `GET /v1/policies/templates`";
    throw new Problem("VALIDATION_ERROR", `template ${message}`, { errors: [{ path: "template", message }] });
  }
  const parsed = template.parameters.safeParse(parameters);
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({
      path: ["parameters", ...path].join("."),
      message,
    }));
    const [first] = errors;
    throw new Problem("VALIDATION_ERROR", `${first?.path}: ${first?.message}`, { errors });
  }
  return { effect: template.effect, ...template.expand(parsed.data) };
}

/** As the API lists them. */
export function describeTemplates() {
  return [...TEMPLATES.values()].map(({ id, title, description, effect, parameters, example }) => ({
    ...{ id, title, description, effect, example },
    parameters: z.toJSONSchema(parameters, { io: "input" }),
  }));
}
