import { z } from "zod";
import { pathGlobSchema } from "../base/glob.ts";
import { both, celField, celNumber, celPathPrefix, celString, celStrings, either } from "./template-cel.ts";
import { callsSchema, isAbout, template, type Template } from "./template.ts";

const fieldSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((field) => field.isWellFormed() && field.split(".").every((name) => name !== ""), {
    message: 'must be a member of the body such as "amount" or "total.value"',
  })
  .describe(
    "A member of the body; dots lead into objects. Of a form: the field's name as it is, `metadata[order]`.",
  );

const valueSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((text) => text.isWellFormed(), "must be text");

const maxSchema = z.number().min(0).max(1e15).describe("In the unit of the field, such as cents.");

/** A decimal, in digits: what is read as a number elsewhere (` 1`, `0x1`, nothing at all) is read in more than one way. */
const DECIMAL = celString("^[0-9]{1,15}([.][0-9]{1,9})?$");

/** Without the field, or with more than it, or anything that is no number. */
const isAbove = (field: string, max: number): string => {
  const amount = celField(field);
  return `!(string(${amount}).matches(${DECIMAL}) && double(${amount}) <= ${celNumber(max)})`;
};

/** `cc`, `Bcc`, `cc[0]`, `bccRecipients`. */
const COPY = /^b?cc(recipients|[^a-z].*)?$/i;
const COPIES = celString(`(?i)${COPY.source}`);

const amount = z.strictObject({ field: fieldSchema.default("amount"), max: maxSchema, ...callsSchema });

/** What calls say in their bodies. A body that cannot be read, or lacks the field, is refused or asked about. */
export const BODY_TEMPLATES: readonly Template[] = [
  template({
    id: "amount-limit",
    title: "Amount limit",
    description: "Refuses calls whose amount is more than so much, or that name none.",
    effect: "deny",
    parameters: amount,
    example: { field: "amount", max: 10_000, methods: ["POST"], paths: ["/v1/refunds"] },
    expand: ({ field, max, ...calls }) => ({
      condition: both(isAbout(calls), isAbove(field, max)),
      message: `The amount must be given, and at most ${max}.`,
    }),
  }),

  template({
    id: "require-approval-above",
    title: "People approve large amounts",
    description: "Asks people about calls whose amount is more than so much, or that name none.",
    effect: "require_approval",
    parameters: amount,
    example: { field: "amount", max: 5_000, methods: ["POST"], paths: ["/v1/refunds"] },
    expand: ({ field, max, ...calls }) => ({
      condition: both(isAbout(calls), isAbove(field, max)),
      message: `A person must approve amounts above ${max}.`,
    }),
  }),

  template({
    id: "one-recipient",
    title: "One recipient",
    description:
      "Refuses calls to anyone but those who are named, to several at once, or with a copy (cc, bcc).",
    effect: "deny",
    parameters: z.strictObject({
      field: fieldSchema,
      recipients: z.array(valueSchema).min(1).max(50),
      ...callsSchema,
    }),
    example: { field: "to", recipients: ["team@example.com"], methods: ["POST"], paths: ["/emails"] },
    expand: ({ field, recipients, ...calls }) => ({
      condition: both(
        isAbout(calls),
        either([
          `!(${celField(field)} in ${celStrings(recipients)})`,
          ...(COPY.test(field) ? [] : [`request.body.exists(name, name.matches(${COPIES}))`]),
        ]),
      ),
      message: "This recipient is not allowed.",
    }),
  }),

  template({
    id: "model-allow-list",
    title: "These models only",
    description: "Refuses calls that name any other model in the body, or none.",
    effect: "deny",
    parameters: z.strictObject({
      models: z.array(valueSchema).min(1).max(50),
      field: fieldSchema.default("model"),
      ...callsSchema,
    }),
    example: { models: ["gpt-5-mini"], paths: ["/v1/chat/completions", "/v1/responses"] },
    expand: ({ models, field, ...calls }) => ({
      condition: both(isAbout(calls), `!(${celField(field)} in ${celStrings(models)})`),
      message: "This model is not allowed.",
    }),
  }),

  template({
    id: "model-in-path",
    title: "These models only, where the path names them",
    description: "Refuses calls to any other model, for APIs such as Gemini's, whose paths name it.",
    effect: "deny",
    parameters: z.strictObject({
      models: z.array(valueSchema).min(1).max(20),
      prefix: pathGlobSchema
        .refine((path) => path.endsWith("/") && !path.includes("*"), 'must end in "/", without "*"')
        .default("/v1beta/models/")
        .describe("What stands before the model."),
    }),
    example: { models: ["gemini-2.5-flash"], prefix: "/v1beta/models/" },
    expand: ({ models, prefix }) => {
      const named = models.flatMap((model) => [
        `request.path == ${celString(prefix + model)}`,
        ...[":", "/"].map((end) => `request.path.startsWith(${celString(prefix + model + end)})`),
      ]);
      return {
        condition: both(celPathPrefix(prefix), `!${either(named)}`),
        message: "This model is not allowed.",
      };
    },
  }),

  template({
    id: "size-limit",
    title: "Small requests only",
    description: "Refuses calls whose body is larger than so many bytes, or of a size that is not known.",
    effect: "deny",
    parameters: z.strictObject({ bytes: z.int().min(0).max(1e12) }),
    example: { bytes: 65_536 },
    expand: ({ bytes }) => ({
      condition: `!(double(request.size) <= ${celNumber(bytes)})`,
      message: `The body may have at most ${bytes} bytes.`,
    }),
  }),
];
