/** Base URLs that must never be connected to, by attack. `{host}` is the one host (with its port) that the secret allows. */
export interface Refused {
  attack: number;
  baseUrl: string;
}

const table = (attack: number, baseUrls: readonly string[]): Refused[] =>
  baseUrls.map((baseUrl) => ({ attack, baseUrl }));

/** Refused in every deployment, in development with private upstreams as well: `{host}` is `127.0.0.1:{port}` there. */
export const MISSPELLED: readonly Refused[] = [
  ...table(2, ["https://evil.com?q={host}", "https://evil.com/?q={host}", "https://evil.com#{host}"]),
  ...table(3, [
    "https://{host}.evil.com",
    "https://EVIL.com",
    "https://\u0430pi.evil.com",
    "https://evil\u3002com",
    "https://evil\uff0ecom",
    "https://evil%2ecom",
    "https://xn--80ak6aa92e.com:443x",
    "https://\uff11\uff12\uff17.0.0.1",
    "https://ev\u00adil.com",
    "https://\u200devil.com",
  ]),
  ...table(4, [
    "https://{host}@evil.com",
    "https://{host}:443@evil.com",
    "https://user:pass@{host}",
    "https://@{host}",
    "https://:@{host}",
    "https://evil.com%40{host}",
  ]),
  ...table(5, [
    "https://evil.com\\@{host}",
    "https:\\\\{host}",
    "https://{host}\\.evil.com",
    "https://{host}\t.evil.com",
    "https://{host}\n.evil.com",
    "\thttps://{host}",
    "https://{host} ",
    "https://{host}#.evil.com",
    "https://{host}#@evil.com",
    "https:/{host}",
    "https:{host}",
    "https:///{host}",
    "//{host}",
    "HTTPS://{host}",
    "ftp://{host}",
    "data:text/plain,{host}",
    "https://{host}/a/../b",
    "https://{host}/a/%2e%2e/b",
    "https://{host}/a b",
    "https://{host}?",
    "",
  ]),
  ...table(10, [
    "http://2130706433:{port}",
    "http://0x7f000001:{port}",
    "http://0x7f.0.0.1:{port}",
    "http://0177.0.0.1:{port}",
    "http://017700000001:{port}",
    "http://127.1:{port}",
    "http://127.0.1:{port}",
    "http://127.0.0.1.:{port}",
    "http://127.0.0.01:{port}",
  ]),
  ...table(11, [
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[0:0:0:0:0:ffff:7f00:1]:{port}",
    "http://[::FFFF:7f00:1]:{port}",
  ]),
];

/** Spelled well, and another place than a secret allows that may go to `api.provider.com` and `127.0.0.1:{port}`. */
export const ELSEWHERE: readonly Refused[] = [
  ...table(2, [
    "https://evil.com/api.provider.com",
    "https://evil.com/.api.provider.com",
    "https://evil.com:{port}",
    "http://evil.com/{host}",
  ]),
  ...table(3, [
    "https://evilapi.provider.com",
    "https://api.provider.com.evil.com",
    "https://api.provider.com.",
    "https://provider.com",
    "https://x.api.provider.com",
    "https://127.0.0.1.evil.com:{port}",
    "http://localhost:{port}",
  ]),
  ...table(9, [
    "https://api.provider.com:8443",
    "https://api.provider.com:444",
    "http://127.0.0.1",
    "https://127.0.0.1",
  ]),
  ...table(11, ["http://[::ffff:7f00:1]:{port}", "http://[::1]:{port}"]),
];

/** Refused in every deployment but a development one with private upstreams. */
export const PRIVATE: readonly Refused[] = [
  ...table(8, ["http://api.provider.com", "http://api.provider.com:443"]),
  ...table(10, [
    "https://127.0.0.1",
    "https://10.0.0.1",
    "https://192.168.1.1",
    "https://1.1.1.1",
    "https://0.0.0.0",
    "https://0",
  ]),
  ...table(11, [
    "https://[::ffff:7f00:1]",
    "https://[::ffff:a00:1]",
    "https://[::1]",
    "https://[fd00::1]",
    "https://[fe80::1]",
  ]),
  ...table(12, [
    "https://[64:ff9b::7f00:1]",
    "https://[64:ff9b::a9fe:a9fe]",
    "https://[64:ff9b:1::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[2002:a9fe:a9fe::]",
    "https://[::7f00:1]",
    "https://[2001:db8::1]",
  ]),
  ...table(13, [
    "https://169.254.169.254",
    "https://169.254.170.2",
    "https://100.100.100.200",
    "https://[fd00:ec2::254]",
    "https://metadata.google.internal",
    "https://metadata.goog.internal",
    "https://instance-data.ec2.internal",
    "https://169.254.169.254.nip.io",
    "https://a9fea9fe.nip.io",
    "https://169-254-169-254.sslip.io",
    "https://127.0.0.1.xip.io",
    "https://app.localtest.me",
    "https://lvh.me",
    "https://localhost",
    "https://foo.localhost",
    "https://printer.local",
    "https://db.lan",
    "https://intranet",
    "https://kubernetes.default.svc.cluster.local",
    "https://1.0.0.127.in-addr.arpa",
  ]),
];
