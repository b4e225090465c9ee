import { z } from "zod";

/** A time in an answer: ISO 8601 in UTC with milliseconds. */
export const timeSchema = z.iso.datetime();

/** `next_cursor` of every list. */
export const nextCursorSchema = z
  .string()
  .nullable()
  .describe("What to send as `cursor` for the next page; null on the last one.");
