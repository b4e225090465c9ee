import type { Mutation } from "./mutation.ts";

const CHANNELS = ["test/worker/notifications/channels.test.ts"];
const WEBHOOKS = ["test/worker/notifications/webhooks.test.ts"];
const DELIVERIES = ["test/local/notifications.test.ts"];

/** How people and systems are told of what happens. */
export const NOTIFICATIONS: readonly Mutation[] = [
  {
    attack: 91,
    what: "a webhook's URL is held against the rules for destinations when it is saved",
    file: "src/notifications/webhooks.ts",
    find: "checkWebhookUrl(settings.url, this.#parts.rules);",
    replace: "",
    tests: WEBHOOKS,
  },
  {
    attack: 91,
    what: "a webhook's URL is one that nobody reads in two ways",
    file: "src/notifications/webhook-url.ts",
    find: 'url.includes("#") || (read !== url && !(query === undefined && read === `${url}/`))',
    replace: "read === null",
    tests: WEBHOOKS,
  },
  {
    attack: 91,
    what: "a webhook's URL is held against the rules once more before each delivery",
    file: "src/notifications/sender.ts",
    find: "checkWebhookUrl(url, rulesFor(receiver.origin));",
    replace: "",
    tests: DELIVERIES,
  },
  {
    attack: 17,
    what: "a delivery follows no redirect",
    file: "src/notifications/sender.ts",
    find: 'redirect: "manual"',
    replace: 'redirect: "follow"',
    tests: DELIVERIES,
  },
  {
    attack: 17,
    what: "a message through a connection follows no redirect",
    file: "src/notifications/connection-call.ts",
    find: 'redirect: "manual"',
    replace: 'redirect: "follow"',
    tests: DELIVERIES,
  },
  {
    attack: 82,
    what: "what agents wrote is made visible before it is told",
    file: "src/notifications/message.ts",
    find: "const text = visibleText(mask(value), MAX_STRING);",
    replace: "const text = mask(value);",
    also: [
      {
        file: "src/notifications/message.ts",
        find: 'return visibleText(typeof value === "string" ? value : JSON.stringify(value), MAX_VALUE);',
        replace: 'return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, MAX_VALUE);',
      },
    ],
    tests: CHANNELS,
  },
  {
    attack: 73,
    what: "a webhook is looked up among its tenant's own",
    file: "src/notifications/webhooks.ts",
    find: "const [row] = await this.#parts.db.of(tenantId).select().from(webhooks).where(eq(webhooks.id, id));",
    replace:
      'const [row] = await this.#parts.db.acrossTenants("a mutation").select().from(webhooks).where(eq(webhooks.id, id));',
    tests: WEBHOOKS,
  },
];
