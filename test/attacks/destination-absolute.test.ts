import { afterAll, beforeAll, expect, test } from "vitest";
import { CANARY, type Lab, openLab } from "./support.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab(() => ({ up: {} }));
});
afterAll(() => lab.close());

test("attack 6: a call in absolute form arrives where the connection leads, with whatever host it or Host names", async () => {
  const { upstream, elsewhere } = lab;
  const forms = [elsewhere.url, `http://up@${elsewhere.authority}`, "http://evil.example", lab.gateway.url];
  for (const form of forms) {
    for (const host of [elsewhere.authority, "localhost:1", upstream.authority]) {
      const answer = await lab.send(`${form}/proxy/up/x`, { host });
      expect(answer.status, `${form} at ${host}`).toBe(200);
    }
  }
  expect(elsewhere.requests).toEqual([]);
  expect(upstream.requests).toHaveLength(forms.length * 3);
  for (const { target, header } of upstream.requests) {
    expect([target, header("host"), header("authorization")]).toEqual([
      "/x",
      [upstream.authority],
      [`Bearer ${CANARY}`],
    ]);
  }
});
