import { describe, expect, it } from "vitest";
import { createRedactor, releaseMode } from "../../../src/gateway/redact/redactor.ts";
import { bytesOf, cut, ECHOES, PLAIN_SECRET, pumped, SECRET, textOf } from "./echoes.ts";

const MODES = ["events", "lines", "distance"] as const;
const SHORT_SECRET = 'hunter2&"x';

describe("a stream is masked wherever it is cut", () => {
  const redactor = createRedactor([bytesOf(SHORT_SECRET)]);
  for (const mode of MODES) {
    for (const [name, encode] of Object.entries(ECHOES)) {
      // A line of NDJSON cannot hold a line break as it is.
      if (mode === "lines" && name === "base64 in lines of 60 characters") continue;
      it(`attack 40: ${name}, cut at every offset, by ${mode}`, async () => {
        const end = mode === "events" ? "\n\n" : "\n";
        const body = bytesOf(`data: one${end}data: ${encode(SHORT_SECRET)}${end}data: three${end}`);
        const expected = redactor.whole(body);
        expect(expected).not.toBe(body);
        for (let offset = 1; offset < body.length; offset++) {
          const { output } = await pumped(redactor, mode, cut(body, [offset]));
          if (!Buffer.from(output).equals(expected)) expect(textOf(output)).toBe(textOf(expected));
        }
      });
    }

    it(`attack 42: byte by byte with much around it, by ${mode}`, async () => {
      const noise = '{"a":"b%20c\\n"}\n'.repeat(150);
      for (const [name, encode] of Object.entries(ECHOES)) {
        if (name.includes("lines")) continue;
        const body = bytesOf(`${noise}${encode(SHORT_SECRET)}\n${noise}`);
        const { output } = await pumped(redactor, mode, cut(body, Array.from(body.keys()).slice(1)));
        expect(textOf(output), name).toBe(textOf(redactor.whole(body)));
      }
    });
  }

  it("attack 40: by distance, every form is found wherever the part that goes first ends", async () => {
    const long = createRedactor([bytesOf(SECRET)]);
    const before = '{"a":"b"}'.repeat(250);
    for (const [name, encode] of Object.entries(ECHOES)) {
      const body = bytesOf(before + encode(SECRET) + before);
      const expected = textOf(long.whole(body));
      for (let offset = before.length; offset < body.length - 16; offset += 16) {
        const { output } = await pumped(long, "distance", cut(body, [offset, offset + 3]));
        expect(textOf(output), name).toBe(expected);
      }
    }
  });

  it("an event and a line go as a whole up to 1 MiB, and at once where a longer one ends", async () => {
    const half = bytesOf("x".repeat(600_000));
    for (const [mode, end] of [
      ["events", "\r\n\r\n"],
      ["lines", "\n"],
    ] as const) {
      const whole = await pumped(redactor, mode, [half, bytesOf(end), half, half, bytesOf(end)]);
      const [first, afterFirst, third, overflowing, last] = whole.afterEach;
      expect([first, afterFirst, third]).toEqual([0, 600_000 + end.length, 600_000 + end.length]);
      expect(overflowing).toBeGreaterThan(1_700_000);
      expect(last).toBe(1_800_000 + 2 * end.length);
    }
  });

  it("a redactor of nothing changes nothing", async () => {
    const body = bytesOf('{"a":"%41\\u0061"}');
    const nothing = createRedactor([]);
    expect(nothing.whole(body)).toBe(body);
    expect((await pumped(nothing, "distance", [body])).output).toEqual(body);
  });

  it("a frame that never ends is masked and passes in bounded memory", async () => {
    const large = createRedactor([bytesOf(SECRET)]);
    const piece = bytesOf(`${"x".repeat(65_000)}${SECRET}${"y".repeat(531)}`);
    for (const mode of MODES) {
      const { output, afterEach } = await pumped(large, mode, Array<Uint8Array>(40).fill(piece));
      expect(output.length).toBe(40 * piece.length);
      expect(textOf(output)).not.toContain(SECRET.slice(0, 6));
      for (const [i, passed] of afterEach.entries()) {
        expect((i + 1) * piece.length - passed).toBeLessThanOrEqual(1024 * 1024 + piece.length);
      }
    }
  });

  it("a value of several lines is found across line ends, whatever the mode", async () => {
    const key = "-----BEGIN-----\nMIIBVgIBADANBgkq\n\nhkiG9w0BAQEF\n-----END-----";
    const multiline = createRedactor([bytesOf(key)]);
    const body = bytesOf(`data: a\n\n${key}\n\ndata: b\n\n`);
    for (const mode of MODES) {
      for (let offset = 1; offset < body.length; offset++) {
        const { output } = await pumped(multiline, mode, cut(body, [offset]));
        expect(textOf(output)).toBe(`data: a\n\n${"*".repeat(key.length)}\n\ndata: b\n\n`);
      }
    }
  });

  it("a longer secret is found behind a shorter one that it begins with", async () => {
    const two = createRedactor([bytesOf("abcdefgh"), bytesOf(`abcdefgh-${PLAIN_SECRET}`)]);
    const body = bytesOf(`${"x".repeat(3000)}abcdefgh-${PLAIN_SECRET}${"y".repeat(3000)}`);
    for (let offset = 2990; offset < 3060; offset++) {
      const { output } = await pumped(two, "distance", cut(body, [offset, offset + 1024]));
      expect(textOf(output)).toBe(
        `${"x".repeat(3000)}${"*".repeat(9 + PLAIN_SECRET.length)}${"y".repeat(3000)}`,
      );
    }
  });

  it("a byte stream is read by large buffers and comes out the same", async () => {
    const body = bytesOf(
      `${'{"k":"v\\n"}'.repeat(60_000)}${encodeURIComponent(SECRET)}${"z".repeat(70_000)}`,
    );
    const large = createRedactor([bytesOf(SECRET)]);
    const out: Uint8Array[] = [];
    let reported = 0;
    await large.pump(
      new Blob([new Uint8Array(body)]).stream() as ReadableStream<Uint8Array>,
      new WritableStream<Uint8Array>({ write: (chunk) => void out.push(chunk.slice()) }),
      "distance",
      (count) => (reported += count),
    );
    expect(Buffer.concat(out).equals(large.whole(body))).toBe(true);
    expect(reported).toBe(body.length);
  });
});

describe("how much is read at once", () => {
  /** The sizes asked for, where each read is answered by as many bytes as `answers` says, or by as many as fit. */
  async function asked(answers: readonly number[]): Promise<number[]> {
    const sizes: number[] = [];
    const source = new ReadableStream({
      type: "bytes",
      pull(controller) {
        const request = controller.byobRequest!;
        const answer = answers[sizes.length];
        if (answer === undefined) {
          controller.close();
          request.respond(0);
          return;
        }
        sizes.push(request.view!.byteLength);
        request.respond(Math.min(answer, request.view!.byteLength));
      },
    });
    await createRedactor([]).pump(source, new WritableStream(), "distance");
    return sizes;
  }

  it("little while little comes, however long, and more where it is there, up to a bound", async () => {
    const KIBIBYTE = 1024;
    const slow = await asked(Array<number>(200).fill(100));
    expect(Math.max(...slow)).toBeLessThanOrEqual(16 * KIBIBYTE);
    const fast = await asked(Array<number>(50).fill(Infinity));
    expect(fast.at(-1)).toBeGreaterThanOrEqual(128 * KIBIBYTE);
    expect(Math.max(...fast)).toBeLessThanOrEqual(512 * KIBIBYTE);
    const both = await asked([...Array<number>(50).fill(Infinity), ...Array<number>(200).fill(100)]);
    expect(both.at(-1)).toBeLessThanOrEqual(64 * KIBIBYTE);
  });
});

describe("what is held back says nothing about the content", () => {
  const redactor = createRedactor([bytesOf(SECRET)]);
  const shapes: [string, (guess: string) => string][] = [
    ["distance", (guess) => `${"a".repeat(5000)}${guess}${"b".repeat(5000)}`],
    ["lines", (guess) => `{"a":1}\n{"echo":"${guess}"}\n{"b":2}\n`],
    ["events", (guess) => `data: 1\n\ndata: ${guess}\n\ndata: 2\n\n`],
  ];
  for (const [mode, shape] of shapes) {
    it(`by ${mode}, a prefix of the secret goes exactly when other bytes would`, async () => {
      for (const length of [1, 8, SECRET.length - 1, SECRET.length]) {
        const timings = [SECRET.slice(0, length), "?".repeat(length)].map(async (guess) => {
          const body = bytesOf(shape(guess));
          const pieces = cut(
            body,
            Array.from({ length: Math.floor(body.length / 3) }, (_, i) => 3 * i + 1),
          );
          return (await pumped(redactor, mode as (typeof MODES)[number], pieces)).afterEach;
        });
        const [guessed, other] = await Promise.all(timings);
        expect(guessed).toEqual(other);
      }
    });
  }

  it("an SSE event and an NDJSON line go as soon as they are whole", async () => {
    const events = await pumped(
      redactor,
      "events",
      ["data: a\r\n\r\nda", "ta: b\n", "\ndata: c", "\r\r"].map(bytesOf),
    );
    expect(events.afterEach).toEqual([11, 11, 20, 29]);
    const lines = await pumped(redactor, "lines", ['{"a":1}\n{', '"b":2}', "\n"].map(bytesOf));
    expect(lines.afterEach).toEqual([8, 8, 16]);
  });
});

describe("both sides end together", () => {
  const redactor = createRedactor([bytesOf(SECRET)]);

  it("an upstream that breaks aborts the sink", async () => {
    const broken = new Error("reset");
    let aborted: unknown;
    const source = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(broken) });
    const sink = new WritableStream<Uint8Array>({ abort: (reason) => void (aborted = reason) });
    await expect(redactor.pump(source, sink, "distance")).rejects.toBe(broken);
    expect(aborted).toBe(broken);
  });

  it("an agent that goes away cancels the upstream, even while that is silent", async () => {
    let cancelled = false;
    const source = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const pumping = redactor.pump(source, writable, "distance");
    const settled = pumping.then(
      () => "resolved",
      () => "rejected",
    );
    await readable.cancel(new Error("gone"));
    expect(await settled).toBe("rejected");
    expect(cancelled).toBe(true);
  });
});

describe("the media type says how a stream is framed", () => {
  it("SSE goes by events, NDJSON by lines, all else by distance", () => {
    expect(releaseMode("text/event-stream; charset=utf-8")).toBe("events");
    expect(releaseMode("Text/Event-Stream")).toBe("events");
    expect(releaseMode("application/x-ndjson")).toBe("lines");
    expect(releaseMode("application/jsonl;charset=utf-8")).toBe("lines");
    expect(releaseMode("application/json")).toBe("distance");
    expect(releaseMode("text/event-stream-like")).toBe("distance");
    expect(releaseMode(null)).toBe("distance");
  });
});
