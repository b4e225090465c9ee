import { z } from "zod";
import { StartError } from "./state.ts";

/** An answer other than 2xx. The message is one line: what was asked, what was answered. */
export class ApiError extends StartError {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const problemSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

/** One call of the gateway's API, its answer checked against a schema. */
export async function callApi<S extends z.ZodType>(
  schema: S,
  request: { url: string; method: string; path: string; credential: string; body?: object },
): Promise<z.infer<S>> {
  const response = await fetch(request.url + request.path, {
    method: request.method,
    headers: {
      authorization: `Bearer ${request.credential}`,
      ...(request.body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  const what = `${request.method} ${request.path}`;
  if (!response.ok) {
    const problem = problemSchema.safeParse(parseJson(text));
    const why = problem.success
      ? `${problem.data.error.code}: ${problem.data.error.message}`
      : text.slice(0, 200);
    throw new ApiError(response.status, `${what} answered ${response.status} ${why}`);
  }
  const parsed = schema.safeParse(parseJson(text));
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
    throw new StartError(`${what} answered without what its contract promises (${fields})`);
  }
  return parsed.data;
}

/** Like `callApi`, but undefined where the answer is 404. */
export async function findApi<S extends z.ZodType>(
  schema: S,
  request: Parameters<typeof callApi>[1],
): Promise<z.infer<S> | undefined> {
  try {
    return await callApi(schema, request);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
