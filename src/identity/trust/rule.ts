import { z } from "zod";
import { atMostAsJson } from "../../base/bounds.ts";
import { durationSchema } from "../../base/duration.ts";
import { scopeSchema } from "../../base/scope.ts";
import { ALGORITHMS } from "../oidc/algorithms.ts";
import { issuerSchema, keysUriSchema } from "../oidc/issuer.ts";
import { type ClaimMatch, pinnedValues } from "./claim.ts";
import type { Pin, TrustPreset } from "./preset.ts";
import { ownerOf, PRESETS, PROVIDER_IDS } from "./presets.ts";

const MAX_STARS = 8;
const PRINTABLE = /^[\x20-\x7e]+$/;
const valueSchema = z.string().min(1).max(512).regex(PRINTABLE, "must be printable ASCII");
const exactSchema = valueSchema.refine(
  (value) => !value.includes("*"),
  'is compared exactly: write {"like": ["…"]} where "*" is to stand for something',
);
const globSchema = valueSchema
  .refine((glob) => glob.split("*").length <= MAX_STARS + 1, `must have at most ${MAX_STARS} of "*"`)
  .refine((glob) => /[^*]/.test(glob), "matches everything: name what must be there");

/** What a claim has to be, as a rule says it (claim.ts). */
export const claimMatchSchema = z.union(
  [
    exactSchema,
    z.array(exactSchema).min(1).max(50),
    z.strictObject({ like: z.array(globSchema).min(1).max(10) }),
    z.strictObject({ contains: exactSchema }),
  ],
  'must be a value, a list of values, {"like": ["glob"]} or {"contains": "value"}',
);

/** These have fields of their own, or say when, not who. */
const NOT_CLAIMS = new Set(["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "nonce"]);
const claimNameSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, "must be a claim's name, or a JSON Pointer such as /kubernetes.io/namespace")
  .refine((name) => !NOT_CLAIMS.has(name), "is not matched as a claim: use `issuer`, `audience`, `subject`");

interface RuleShape {
  readonly provider: keyof typeof PRESETS;
  readonly issuer: string;
  readonly audience: string;
  readonly subject?: ClaimMatch | undefined;
  readonly claims: Readonly<Record<string, ClaimMatch>>;
}

const matchOf = (rule: RuleShape, claim: string): ClaimMatch | undefined =>
  claim === "sub" ? rule.subject : Object.hasOwn(rule.claims, claim) ? rule.claims[claim] : undefined;

const isPinned = (rule: RuleShape, pin: Pin): boolean =>
  Object.entries(pin).every(([claim, form]) => {
    const values = pinnedValues(matchOf(rule, claim));
    return values !== null && values.length > 0 && values.every((value) => form.test(value));
  });

function isPinnedByGlob({ subject }: RuleShape, { subjectGlob }: TrustPreset): boolean {
  if (subjectGlob === undefined || typeof subject !== "object" || !("like" in subject)) return false;
  return subject.like.every((glob) => subjectGlob.test(glob));
}

function describePins({ pins }: TrustPreset): string {
  return pins
    .map((pin) =>
      Object.keys(pin)
        .map((claim) => (claim === "sub" ? "`subject`" : `\`${claim}\``))
        .join(" and "),
    )
    .join(", or ");
}

/** What is wrong with a rule of a provider (attack 55); each message says what to write instead. */
function ruleProblems(rule: RuleShape): { readonly path: keyof RuleShape; readonly message: string }[] {
  const preset = PRESETS[rule.provider];
  const problems: { path: keyof RuleShape; message: string }[] = [];
  const owner = ownerOf(rule.issuer);
  if (owner !== null && owner.id !== preset.id) {
    problems.push({ path: "provider", message: `must be "${owner.id}", whose issuer this is` });
    return problems;
  }
  if (!preset.issuer.test(rule.issuer)) {
    problems.push({ path: "issuer", message: `must look like ${preset.issuerExample}` });
  }
  const { audience, foreignAudience } = preset;
  if (audience !== undefined && !audience.test(rule.audience)) {
    problems.push({ path: "audience", message: `must be as ${preset.title} writes it: ${preset.docs}` });
  }
  if (foreignAudience?.form.test(rule.audience)) {
    problems.push({ path: "audience", message: `must be your own: ${foreignAudience.why}` });
  }
  if (!preset.pins.some((pin) => isPinned(rule, pin)) && !isPinnedByGlob(rule, preset)) {
    const message = `must pin ${describePins(preset)} to exact values. ${preset.advice}`;
    problems.push({ path: "claims", message });
  }
  return problems;
}

/** A trust rule as an admin writes it. */
export const trustRuleSchema = z
  .strictObject({
    name: z.string().min(1).max(100),
    provider: z.enum(PROVIDER_IDS).default("generic"),
    issuer: issuerSchema,
    /** Left out: where the provider has its keys, or what the issuer's discovery document says. */
    jwks_uri: keysUriSchema.optional(),
    /** Left out: RS256, PS256, ES256, ES384, EdDSA. */
    algorithms: z.array(z.enum(ALGORITHMS)).min(1).optional(),
    audience: valueSchema,
    subject: claimMatchSchema.optional(),
    claims: z
      .record(claimNameSchema, claimMatchSchema)
      .default({})
      .refine((claims) => Object.keys(claims).length <= 20, "must be at most 20 claims"),
    /** Narrows the agent's own `allowed_scopes` for tokens got by this rule. */
    allowed_scopes: z.array(scopeSchema).max(100).optional(),
    /** In seconds once parsed. */
    max_ttl: durationSchema({ minSeconds: 60, maxSeconds: 86_400, example: "15m" }).optional(),
  })
  .superRefine((rule, context) => {
    for (const { path, message } of ruleProblems(rule)) {
      context.addIssue({ code: "custom", path: [path], message });
    }
  });

export type TrustRuleInput = z.infer<typeof trustRuleSchema>;

/** The rules of one agent. */
export const trustRulesSchema = z
  .array(trustRuleSchema)
  .max(20)
  .refine(...atMostAsJson(32_768));

export interface TrustRule extends TrustRuleInput {
  readonly id: string;
}
