import { Agent, request } from "node:http";
import { performance } from "node:perf_hooks";
import type { Contender } from "./contenders.ts";
import { median } from "./statistics.ts";

/** Milliseconds from the request to the first byte of an event stream's body, by contender: medians. */
export type FirstBytes = ReadonlyMap<string, number>;

/** Streams one after the other, the contenders in turn; the upstream sends its first event at once. */
export async function measureFirstBytes(
  contenders: readonly Contender[],
  samples: number,
): Promise<FirstBytes> {
  const agent = new Agent({ keepAlive: true });
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  try {
    for (const contender of contenders) await firstByte(agent, contender);
    for (let sample = 0; sample < samples; sample += 1) {
      for (const contender of contenders) times.get(contender.name)?.push(await firstByte(agent, contender));
    }
  } finally {
    agent.destroy();
  }
  return new Map([...times].map(([name, values]) => [name, median(values)]));
}

function firstByte(agent: Agent, contender: Contender): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let first: number | undefined;
    let received = "";
    const { name, url, headers } = contender;
    const options = { agent, headers: { ...headers, accept: "text/event-stream" }, timeout: 10_000 };
    const outgoing = request(`${url}/stream`, options, (response) => {
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        first ??= performance.now() - startedAt;
        received += chunk;
      });
      response.once("error", reject);
      response.once("end", () => {
        if (first !== undefined && received.endsWith("data: [DONE]\n\n")) resolve(first);
        else
          reject(new Error(`${name}: the stream answered ${response.statusCode} ${received.slice(0, 200)}`));
      });
    });
    outgoing.once("timeout", () => outgoing.destroy(new Error(`${name}: no event within 10 s`)));
    outgoing.once("error", reject);
    outgoing.end();
  });
}
