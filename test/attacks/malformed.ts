/** Secrets that cannot stand in a header as they are (attack 33). */
export const BROKEN: Readonly<Record<string, string>> = {
  crlf: "abcdefgh\r\nX-Evil: 1",
  lf: "abcdefgh\nX-Evil: 1",
  nul: "abcdefgh\0tail",
  accent: "abcdefghé",
  wide: "abcdefgh\u{1f511}",
  newline: "abcdefghij\n",
};
/** A request within a request. */
export const INNER = "GET /proxy/bearer/smuggled HTTP/1.1\r\nHost: 127.0.0.1:20000\r\n\r\n";
/** Bodies whose length two readers could read differently (attack 31). */
export const FRAMINGS: readonly (readonly [what: string, headers: string[], body: string])[] = [
  ["CL.TE", ["Content-Length: 4", "Transfer-Encoding: chunked"], `0\r\n\r\n${INNER}`],
  ["TE.CL", ["Transfer-Encoding: chunked", `Content-Length: ${5 + INNER.length}`], `0\r\n\r\n${INNER}`],
  ["two lengths", ["Content-Length: 0", `Content-Length: ${INNER.length}`], INNER],
  ["a list of lengths", [`Content-Length: 0, ${INNER.length}`], INNER],
  ["an unknown coding", ["Transfer-Encoding: xchunked"], `0\r\n\r\n${INNER}`],
  ["chunked twice", ["Transfer-Encoding: chunked, chunked"], `0\r\n\r\n${INNER}`],
  ["chunked, but not last", ["Transfer-Encoding: chunked, identity"], `0\r\n\r\n${INNER}`],
  ["a space before the colon", ["Transfer-Encoding : chunked", "Content-Length: 4"], `0\r\n\r\n${INNER}`],
  ["an underscore", ["Transfer_Encoding: chunked", "Content-Length: 3"], "a=b"],
  ["a signed length", ["Content-Length: +3"], `a=b${INNER}`],
];

/** Templates that would break out of a header, or take one that is not theirs (attack 33). */
export const BROKEN_TEMPLATES: readonly ({ kind: string } & Record<string, string>)[] = [
  { kind: "header", name: "X-Api-Key", format: "{secret}\r\nX-Evil: 1" },
  { kind: "header", name: "X-Api-Key", format: "{secret}\n" },
  { kind: "header", name: "X-Api-Key", format: "\0{secret}" },
  { kind: "header", name: "X-Api-Key", format: "é{secret}" },
  { kind: "header", name: "X-Evil: 1\r\nX-Api-Key" },
  { kind: "header", name: "Host" },
  { kind: "header", name: "Transfer_Encoding" },
  { kind: "header", name: "Content-Length" },
  { kind: "header", name: "Cookie" },
  { kind: "bearer", prefix: "Bearer x\r\nX-Evil: 1" },
  { kind: "basic", username: "a\r\nb" },
  { kind: "basic", username: "a:b" },
];
