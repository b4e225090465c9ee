import { z } from "zod";

const hex = z.string().describe("In lower-case hex.");

const cutSchema = z
  .strictObject({ bytes: z.int(), sha256: hex })
  .nullable()
  .describe("Where there is more than is shown: the length and the SHA-256 of all of it.");

const fieldSchema = z.strictObject({
  name: z.string(),
  value: z.string(),
  cut: cutSchema,
  scripts: z
    .array(z.string())
    .describe("Where letters of several scripts that look alike are mixed: which. Else empty."),
});

const listSchema = z.strictObject({
  fields: z.array(fieldSchema),
  more: z.int().describe("So many are not shown."),
});

const bodySchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("none") }),
  z.strictObject({
    kind: z.enum(["json", "form", "text"]),
    type: z.string().nullable(),
    bytes: z.int(),
    sha256: hex,
    ...listSchema.shape,
    text: z.string().describe("As it was sent, but for what is made visible."),
    cut: cutSchema,
  }),
  z.strictObject({
    kind: z.literal("binary"),
    type: z.string().nullable(),
    bytes: z.int(),
    sha256: hex,
    head: hex.describe("Its first bytes."),
  }),
]);

/**
 * What people see of a call that they are asked to approve: plain text throughout, of the very bytes that are sent. No
 * value is markup, and none is to be shown as such. Characters that would deceive a reader stand as `⟨U+202E⟩`.
 */
export const shownCallSchema = z
  .strictObject({
    title: z.string().describe("What it does, in a line."),
    picked: z.array(fieldSchema).describe("What matters most of it, such as amounts and recipients."),
    method: z.string(),
    scheme: z.enum(["https", "http"]),
    host: z.string(),
    path: z.string(),
    query: listSchema.extend({ text: z.string(), cut: cutSchema }),
    headers: listSchema,
    body: bodySchema,
    connection: z.string(),
    provider: z.string().nullable(),
    secrets: z.array(z.strictObject({ path: z.string(), version: z.int() })),
    purpose: listSchema.describe("What the agent says it is for."),
  })
  .meta({ id: "ShownCall" });

/** What is told of it wherever a case is listed: what the ledger says of calls, too. */
export const callPayloadSchema = z
  .strictObject({
    method: z.string(),
    host: z.string(),
    path: z.string(),
    provider: z.string().nullable(),
  })
  .meta({ id: "ApprovalOfCall" });

export type ShownCall = z.infer<typeof shownCallSchema>;
export type ShownField = z.infer<typeof fieldSchema>;
export type ShownFields = z.infer<typeof listSchema>;
