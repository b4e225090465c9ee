import { afterAll, beforeAll, expect, test } from "vitest";
import { startUpstream, type Upstream } from "../../local/upstream.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { createTenant, type TestTenant } from "../support/tenant.ts";
import { acceptWebSocket } from "../support/upstreams/websocket.ts";

let gateway: Gateway;
let upstream: Upstream;
let tenant: TestTenant;

beforeAll(async () => {
  gateway = await startGateway();
  upstream = await startUpstream({
    port: 0,
    upgrade: (message, socket) => acceptWebSocket(message, socket, (_text, end) => end.send("ok")),
  });
  tenant = await createTenant(gateway);
  const credential = { kind: "bearer" };
  await tenant.connect("live", {
    ...{ base_url: upstream.url, credential, websockets: true, value: "a-credential-of-some-length-0001" },
  });
});
afterAll(async () => {
  await Promise.all([gateway.stop(), upstream.close()]);
});

test("what is said over a WebSocket counts against a budget of bytes, both ways", async () => {
  const { id } = await tenant.admin.must("POST", "/v1/budgets", {
    ...{ name: "bytes", scope: { connection: "live" }, measure: "bytes", period: "total" },
    ...{ limit: 1_000_000, max_bytes_per_call: 1_000 },
  });
  const { token } = await tenant.issue(["connections:call:live"]);
  const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/proxy/live/socket`, {
    headers: { "x-valetkey-token": token },
  } as never);
  const answers: unknown[] = [];
  const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
  socket.addEventListener("message", ({ data }) => {
    answers.push(data);
    if (answers.length < 5) socket.send("x".repeat(20_000));
    else socket.close(1000);
  });
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  socket.send("x".repeat(20_000));
  await closed;
  expect(answers).toHaveLength(5);
  const used = async () => (await tenant.admin.must("GET", `/v1/budgets/${id}/state`)).used;
  await expect.poll(used, { timeout: 10_000 }).toBe(5 * 20_000 + 5 * 2);
});
