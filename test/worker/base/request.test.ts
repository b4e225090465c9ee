import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Problem } from "../../../src/base/problem.ts";
import { check, readBody } from "../../../src/base/request.ts";

const URL_OF = "http://localhost/";

/** A request whose body is what `next` gives, chunk by chunk, each asked for only when it is wanted; null ends it. */
function streaming(next: () => Uint8Array | null | Promise<Uint8Array | null>, headers = {}): Request {
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next();
        if (chunk === null) controller.close();
        else controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
  return new Request(URL_OF, { method: "POST", body, headers });
}

function chunked(bytes: Uint8Array, size: number): Request {
  let at = 0;
  return streaming(() => {
    if (at >= bytes.byteLength) return null;
    at += size;
    return bytes.slice(at - size, at);
  });
}

async function problemOf(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  return error instanceof Problem ? `${error.status} ${error.code}` : String(error);
}

function faultOf(schema: z.ZodType, value: unknown): string {
  try {
    check(schema, value);
  } catch (error) {
    if (error instanceof Problem) return JSON.stringify([error.message, error.options]);
  }
  return "no fault";
}

describe("a body", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));

  it.each([1, 7, 4_096, 65_536])("that comes in chunks of %i bytes is read whole", async (size) => {
    expect(Buffer.from(await readBody(chunked(bytes, size), 50_000)).equals(bytes)).toBe(true);
  });

  it("attack 89: of many small chunks holds none of them: each is copied before the next is asked for", async () => {
    const chunk = new Uint8Array(1);
    let given = 0;
    const body = await readBody(
      streaming(() => {
        if (given === 3_000) return null;
        chunk[0] = given++ % 251;
        return chunk;
      }),
      1_000_000,
    );
    expect(
      Buffer.from(body).equals(Buffer.from(Array.from({ length: 3_000 }, (_, index) => index % 251))),
    ).toBe(true);
  });

  it("that is not there is empty", async () => {
    expect(await readBody(new Request(URL_OF), 10)).toEqual(new Uint8Array());
  });

  it("attack 89: over the limit is refused, by what it says and by what comes", async () => {
    expect((await readBody(chunked(bytes, 1_000), bytes.byteLength)).byteLength).toBe(bytes.byteLength);
    expect(await problemOf(readBody(chunked(bytes, 1_000), bytes.byteLength - 1))).toBe("413 BODY_TOO_LARGE");
    const said = new Request(URL_OF, { method: "POST", body: "abc", headers: { "content-length": "3" } });
    expect(await problemOf(readBody(said, 2))).toBe("413 BODY_TOO_LARGE");
  });

  it("attack 89: that never ends, or drips, is given up at the deadline", async () => {
    const never = streaming(() => new Promise(() => undefined));
    expect(await problemOf(readBody(never, 1_000, { totalMs: 50 }))).toBe("408 BODY_TIMEOUT");
    const dripping = streaming(async () => {
      await scheduler.wait(20);
      return new Uint8Array(1);
    });
    expect(await problemOf(readBody(dripping, 1_000_000, { totalMs: 150 }))).toBe("408 BODY_TIMEOUT");
  });

  it("that its sender breaks off is an error", async () => {
    const broken = streaming(() => Promise.reject(new Error("gone")));
    await expect(readBody(broken, 1_000)).rejects.toThrow("gone");
  });
});

describe("what a fault says", () => {
  const schema = z.strictObject({
    name: z.string().optional(),
    hosts: z.record(z.string().max(64), z.string()).optional(),
    inner: z.strictObject({}).optional(),
  });

  it("names an unknown member that looks like a name", () => {
    expect(faultOf(schema, { scope: 1 })).toContain("scope");
    expect(faultOf(schema, { inner: { "max-uses": 1 } })).toContain("max-uses");
  });

  it.each([
    "vkt_0123456789abcdefghij",
    "xvka_0123",
    "vkm_1",
    "vkb_1",
    '{"token":"secret-value"}',
    "a".repeat(41),
    "two words",
    "sk=live",
  ])("never repeats an unknown member or a record's key such as %s", (name) => {
    for (const value of [{ [name]: 1 }, { inner: { [name]: 1 } }, { hosts: { [name]: 1 } }]) {
      const fault = faultOf(schema, value);
      expect(fault).not.toBe("no fault");
      expect(fault).not.toContain(JSON.stringify(name).slice(1, -1));
    }
    expect(faultOf(schema, { [name]: 1, scope: 1 })).toContain("has an unknown member");
  });

  it("is short whatever is sent", () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`name-${index}`, 1]));
    expect(faultOf(schema, many).length).toBeLessThan(1_000);
  });
});
