import { beforeAll, describe, expect, test } from "vitest";
import { KEY, openConnections, OWN_HOST, own, refusalOf, stateOf } from "./fixtures.ts";

/** Base URLs that no connection gets, even where its secret names the host that a client would read out of them. */
const REFUSED: Record<string, readonly string[]> = {
  "attack 2: a query that names the host": [
    "https://evil.example.org?q=api.stripe.com",
    "https://evil.example.org/?api.stripe.com",
    "https://api.stripe.com/?",
  ],
  "attack 3: other spellings of a host": [
    "https://api.stripe.com.",
    "https://API.stripe.com",
    "HTTPS://api.stripe.com",
    "https://api。stripe.com",
    "https://api．stripe.com",
    "https://ａpi.stripe.com",
    "https://аpi.stripe.com",
    "https://bücher.example.org",
    "https://api.str\u00ADipe.com",
    "https://api.stripe%2ecom",
    "https://api%2estripe.com",
    "https://-api.example.org",
    "https://api..example.org",
    "https://*.example.org",
  ],
  "attack 4: a user before the host": [
    "https://api.stripe.com@evil.example.org",
    "https://api.stripe.com:443@evil.example.org",
    "https://user:password@api.stripe.com",
    "https://@api.stripe.com",
  ],
  "attack 5: backslash, tab, newline, # in the authority": [
    "https://api.stripe.com\\@evil.example.org",
    "https://evil.example.org\\.api.stripe.com",
    "https:\\\\api.stripe.com",
    "https:api.stripe.com",
    "https:/api.stripe.com",
    "https:///api.stripe.com",
    "//api.stripe.com",
    "https://api.stripe\t.com",
    "https://api.stripe.com\n",
    "https://api.stripe.com\r\n.evil.example.org",
    " https://api.stripe.com",
    "https://api.stripe.com ",
    "https://api.stripe.com\u0000.evil.example.org",
    "https://evil.example.org#.api.stripe.com",
    "https://evil.example.org#@api.stripe.com",
    "https://api.stripe.com/#",
  ],
  "attack 8: anything but https": [
    "http://api.stripe.com",
    "http://api.stripe.com:443",
    "ws://api.stripe.com",
    "ftp://api.stripe.com",
    "javascript:alert(1)",
    "data:text/plain,api.stripe.com",
    "file:///etc/passwd",
  ],
  "attack 9: what is no port, or two spellings of one": [
    "https://api.stripe.com:0",
    "https://api.stripe.com:",
    "https://api.stripe.com:65536",
    "https://api.stripe.com:99999",
    "https://api.stripe.com:0443",
    "https://api.stripe.com:443:443",
    "https://api.stripe.com:-1",
    "https://api.stripe.com:4 43",
  ],
  "attack 10: decimal, octal, hexadecimal and short IPv4": [
    "https://127.0.0.1",
    "https://127.1",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.0.0.1",
    "https://0177.0.0.1",
    "https://017700000001",
    "https://127.0.0.1.",
    "https://999.999.999.999",
    "https://1.2.3.4.5",
    "https://api.example.1",
  ],
  "attack 11: IPv4-mapped IPv6": [
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:7f00:1]",
    "https://[::FFFF:7F00:1]",
    "https://[0:0:0:0:0:ffff:7f00:1]:8443",
  ],
  "attack 12: NAT64, 6to4, IPv4-compatible and any other IPv6": [
    "https://[64:ff9b::7f00:1]",
    "https://[64:ff9b:1::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[::7f00:1]",
    "https://[::1]",
    "https://[::]",
    "https://[fe80::1]",
    "https://[fe80::1%25eth0]",
    "https://[2001:db8::1]",
  ],
  "attack 13: metadata addresses and names, and names that point at them": [
    "https://169.254.169.254",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]",
    "https://metadata.google.internal",
    "https://instance-data.ec2.internal",
    "https://metadata",
    "https://localhost",
    "https://api.localhost",
    "https://169.254.169.254.nip.io",
    "https://169-254-169-254.sslip.io",
    "https://a9fea9fe.nip.io",
    "https://localtest.me",
    "https://x.lvh.me",
    "https://db.internal",
    "https://printer.local",
    "https://router.lan",
    "https://host.home.arpa",
    "https://254.169.254.169.in-addr.arpa",
  ],
  "attack 16: the gateway itself": [
    `https://${OWN_HOST}`,
    `https://${OWN_HOST}/proxy/stripe`,
    `https://${OWN_HOST}:8443`,
    `https://stripe.${OWN_HOST}`,
  ],
  "attack 23: a path that is not spelled canonically": [
    "https://api.stripe.com/v1/../v2",
    "https://api.stripe.com/%2e%2e/v2",
    "https://api.stripe.com/v1/./v2",
    "https://api.stripe.com/v 1",
    "https://api.stripe.com/ä",
  ],
};

/** Hosts that look like api.stripe.com and are somebody else's: refused unless the secret itself names them. */
const LOOKALIKES: Record<string, readonly string[]> = {
  "attack 2: the host in the path or a label": [
    "https://evil.example.org/api.stripe.com",
    "https://api.stripe.com-evil.example.org",
  ],
  "attack 3: more before or after the host": [
    "https://api.stripe.com.evil.example.org",
    "https://evilapi.stripe.com",
    "https://evil-api.stripe.com",
    "https://evilstripe.com",
    "https://stripe.com",
    "https://x.api.stripe.com",
    "https://xn--pi-7kc.stripe.com",
  ],
  "attack 9: another port": ["https://api.stripe.com:8443", "https://api.stripe.com:80"],
};

let room: Awaited<ReturnType<typeof openConnections>>;
beforeAll(async () => {
  room = await openConnections();
  await room.secret(KEY);
});

/** Every host a client could take `url` for. */
function hostsReadFrom(url: string): string[] {
  const hosts = ["api.stripe.com", "evil.example.org", "127.0.0.1"];
  return URL.canParse(url) ? [...hosts, new URL(url).host, new URL(url).hostname] : hosts;
}

describe.each(Object.entries(REFUSED))("%s", (_attack, urls) => {
  test.each(urls)("%j makes no connection", async (url) => {
    const generous = await room.secret("staging/generous/KEY", { allowedHosts: hostsReadFrom(url) });
    const before = await stateOf(room.tenantId);
    for (const input of [
      own(generous, { base_url: url }),
      { slug: "stripe", provider: "stripe", secret: generous, base_url: url },
      { slug: "stripe", provider: "stripe", secret: KEY, base_url: url },
    ]) {
      const { code, status } = await refusalOf(room.create(input));
      expect([code, status]).toBeOneOf([
        ["DESTINATION_DENIED", 403],
        ["VALIDATION_ERROR", 400],
      ]);
    }
    expect(await stateOf(room.tenantId)).toEqual(before);
  });
});

describe.each(Object.entries(LOOKALIKES))("%s", (_attack, urls) => {
  test.each(urls)("%j is not the provider's", async (url) => {
    const decided = await room.secret("staging/decided/KEY", { allowedHosts: ["api.stripe.com"] });
    const before = await stateOf(room.tenantId);
    for (const secret of [decided, KEY]) {
      const input = { slug: "stripe", provider: "stripe", secret, base_url: url };
      expect((await refusalOf(room.create(input))).code).toBe("DESTINATION_DENIED");
    }
    expect((await refusalOf(room.create(own(decided, { base_url: url })))).code).toBe("DESTINATION_DENIED");
    expect(await stateOf(room.tenantId)).toEqual(before);
  });
});

test("attack 3: a wildcard of the catalogue covers labels below its suffix, and nothing that ends like it", async () => {
  const refused = [
    "https://atlassian.net",
    "https://evilatlassian.net",
    "https://x.atlassian.net.evil.example.org",
    "https://x.atlassian.net:8443",
  ];
  const jira = { provider: "atlassian", credential: { username: "a@example.org" }, secret: KEY };
  for (const base_url of refused) {
    const problem = await refusalOf(room.create({ ...jira, slug: "jira", base_url }));
    expect(problem.code, base_url).toBe("DESTINATION_DENIED");
  }
  await room.create({ ...jira, slug: "jira", base_url: "https://x.atlassian.net" });
  expect(await room.hostsOf(KEY)).toEqual(["x.atlassian.net"]);
});

test("one destination has one spelling: the default port and a final slash are left out", async () => {
  const secret = await room.secret("staging/spelling/KEY", { allowedHosts: ["api.example.org"] });
  const spellings = [
    ["a", "https://api.example.org:443", "https://api.example.org"],
    ["b", "https://api.example.org/", "https://api.example.org"],
    ["c", "https://api.example.org:443/v1/", "https://api.example.org/v1"],
  ] as const;
  for (const [slug, base_url, canonical] of spellings) {
    const { connection } = await room.create(own(secret, { slug, base_url }));
    expect(connection.baseUrl).toBe(canonical);
  }
});
