import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { FlightLate, SingleFlight } from "../../../src/base/single-flight.ts";

const never = () => new Promise<never>(() => undefined);

/** Runs of one key, each by a request of its own; `works` are used up in order, the last one again and again. */
function flights(...works: (() => Promise<string>)[]) {
  const flight = new SingleFlight<string>();
  const contexts: ExecutionContext[] = [];
  let begun = 0;
  return {
    begun: () => begun,
    run: (key = "key") => {
      const context = createExecutionContext();
      contexts.push(context);
      const work = () => (works[Math.min(begun++, works.length - 1)] ?? never)();
      return flight.run(key, work, (promise) => context.waitUntil(promise));
    },
    /** What was given to `waitUntil` has ended. */
    done: () => Promise.all(contexts.map((context) => waitOnExecutionContext(context))),
  };
}

const soon = async (): Promise<string> => {
  await scheduler.wait(20);
  return "value";
};
const fail = async (): Promise<string> => {
  await scheduler.wait(20);
  throw new Error("broken");
};

describe("a single flight", () => {
  it("works once for all who ask meanwhile, and again for who asks afterwards", async () => {
    const { run, begun, done } = flights(soon);
    expect(new Set(await Promise.all(Array.from({ length: 200 }, () => run())))).toEqual(new Set(["value"]));
    expect(begun()).toBe(1);
    expect(await run()).toBe("value");
    expect(begun()).toBe(2);
    await done();
  });

  it("keeps keys apart", async () => {
    const { run, begun } = flights(soon);
    await Promise.all([run("one"), run("two"), run("one")]);
    expect(begun()).toBe(2);
  });

  it("whose first request is gone is begun once more for all, and answers even the first", async () => {
    const { run, begun } = flights(never, soon);
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => run())))).toEqual(new Set(["value"]));
    expect(begun()).toBe(2);
  }, 10_000);

  it("that fails fails for its own request and is tried once more for the others", async () => {
    const { run, begun } = flights(fail, soon);
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => run()));
    expect(results.map(({ status }) => status)).toEqual([
      "rejected",
      ...Array.from({ length: 49 }, () => "fulfilled"),
    ]);
    expect(begun()).toBe(2);
  });

  it("that goes on failing fails for all, after two tries", async () => {
    const { run, begun, done } = flights(fail);
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => run()));
    for (const result of results) expect(result).toMatchObject({ reason: { message: "broken" } });
    expect(begun()).toBe(2);
    await done();
  });

  it("that never lands keeps nobody longer than 5 s, is begun at most 4 times and leaves nothing behind", async () => {
    let work: () => Promise<string> = never;
    const { run, begun, done } = flights(() => work());
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => run()));
    for (const result of results) expect(result).toMatchObject({ reason: new FlightLate() });
    expect(begun()).toBeLessThanOrEqual(4);
    await done();
    work = soon;
    expect(await run()).toBe("value");
  }, 20_000);
});
