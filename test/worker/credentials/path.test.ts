import { describe, expect, test } from "vitest";
import { parseCredential } from "../../../src/credentials/kinds.ts";
import { outgoing, problemOf, secretsOf } from "./outgoing.ts";

const TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const TELEGRAM = { kind: "path", prefix: "/bot", after: ["/file"] };

function attach(credential: unknown, path: string, secret = TOKEN): string {
  const { kind, options } = parseCredential(credential);
  const request = outgoing({ path });
  kind.strip(request, options);
  kind.inject(request, options, secretsOf({ secret }));
  return request.path;
}

describe("path", () => {
  test.each([
    ["/getMe", `/bot${TOKEN}/getMe`],
    ["/botvkt_placeholder/getMe", `/bot${TOKEN}/getMe`],
    ["/file/botvkt_placeholder/photos/1.jpg", `/file/bot${TOKEN}/photos/1.jpg`],
    ["/file/photos/1.jpg", `/file/bot${TOKEN}/photos/1.jpg`],
    ["/", `/bot${TOKEN}`],
    ["/bot1", `/bot${TOKEN}`],
    ["/a//b/", `/bot${TOKEN}/a//b/`],
    ["/filet/x", `/bot${TOKEN}/filet/x`],
  ])("%s becomes %s", (from, to) => {
    expect(attach(TELEGRAM, from)).toBe(to);
  });

  test.each(["/botevil/getMe", "/%62otevil/getMe", "/b%6Ft%65vil/getMe", "/bot/getMe", "/bota/botb/getMe"])(
    "attack 32: the client's own segment in %s never arrives",
    (from) => {
      expect(attach(TELEGRAM, from)).toBe(`/bot${TOKEN}/getMe`);
    },
  );

  test("attack 32: the client's own segment behind a disguised folder never arrives", () => {
    expect(attach(TELEGRAM, "/%66ile/bot%65vil/a.jpg")).toBe(`/%66ile/bot${TOKEN}/a.jpg`);
  });

  test("a prefix that ends in a slash has the secret as a segment of its own", () => {
    const credential = { kind: "path", prefix: "/v3/" };
    expect(attach(credential, "/v3/placeholder", "abc")).toBe("/v3/abc");
    expect(attach(credential, "/v3/placeholder/x", "abc")).toBe("/v3/abc/x");
    expect(attach(credential, "/x", "abc")).toBe("/v3/abc/x");
  });

  test("the secret is percent-encoded, but for the colon that may stand in a segment", () => {
    expect(attach({ kind: "path", prefix: "/bot" }, "/x", "a?b#c%d e:f")).toBe("/bota%3Fb%23c%25d%20e:f/x");
  });

  test.each(["a/b", "a\\b", "a\0", "a\r\n", ".", ".."])("attack 33: the secret %j is refused", (secret) => {
    expect(problemOf(() => attach({ kind: "path", prefix: "/v3/" }, "/x", secret)).code).toBe(
      "SECRET_UNUSABLE",
    );
  });

  test.each(["", "/", "bot", "//", "/../", "/a/../b", "/bot?x=", "/b%6ft", "/bot#"])(
    "%j is no prefix",
    (prefix) => {
      expect(problemOf(() => parseCredential({ kind: "path", prefix })).options.errors?.[0]?.path).toBe(
        "credential.prefix",
      );
    },
  );
});
