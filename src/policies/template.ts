import { z } from "zod";
import { methodSchema, pathGlobSchema } from "../base/glob.ts";
import { both, celPaths, celStrings } from "./template-cel.ts";

/** What a template makes: a condition for what is refused or asked about, and what the agent is told. */
export interface Expansion {
  readonly condition: string;
  readonly message: string;
}

export interface Template {
  readonly id: string;
  readonly title: string;
  /** One or two sentences. */
  readonly description: string;
  readonly effect: "deny" | "require_approval";
  readonly parameters: z.ZodType;
  readonly example: Readonly<Record<string, unknown>>;
  /** `parameters`: what the schema gives. */
  expand(parameters: unknown): Expansion;
}

/** Ties `expand` to what the schema gives; whoever uses a template needs to know no more than that it does. */
export function template<S extends z.ZodType>(
  declared: Omit<Template, "parameters" | "expand"> & {
    readonly parameters: S;
    readonly expand: (parameters: z.output<S>) => Expansion;
  },
): Template {
  const { expand, ...rest } = declared;
  return { ...rest, expand: (parameters) => expand(declared.parameters.parse(parameters)) };
}

export const pathsSchema = z
  .array(pathGlobSchema)
  .max(20)
  .default([])
  .describe("Paths below the base URL, `*` for any run of characters; empty: every path.");

/** Which calls a template is about. */
export const callsSchema = {
  methods: z.array(methodSchema).min(1).max(20).default(["POST", "PUT", "PATCH"]),
  paths: pathsSchema,
};

export function isAbout({
  methods,
  paths,
}: {
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}): string {
  return both(`request.method in ${celStrings(methods)}`, celPaths(paths));
}
