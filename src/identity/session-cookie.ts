/** A cookie that one deployment sets and reads. */
export interface OwnCookie {
  /** The value that a request brings; null where it brings none, or two (one of which somebody else set). */
  read(header: string | null): string | null;
  /** The `Set-Cookie` header that keeps a value for `seconds` at most. */
  write(value: string, seconds: number): string;
  /** The `Set-Cookie` header that removes it. */
  clear(): string;
}

/**
 * A cookie that scripts cannot read. `secure`: only over TLS, and with the prefix that keeps other hosts and paths from
 * setting it (RFC 6265bis §4.1.3.2); false for http on loopback, where browsers refuse such cookies.
 *
 * `Strict` cookies are not even sent when another site links here: its pages are shells that ask for the rest
 * themselves. The one of a sign-in under way is `Lax`, since the issuer sends the browser back with it.
 */
export function ownCookie(name: string, sameSite: "Strict" | "Lax", secure: boolean): OwnCookie {
  const full = secure ? `__Host-${name}` : name;
  const attributes = `Path=/; HttpOnly; SameSite=${sameSite}${secure ? "; Secure" : ""}`;
  return {
    read(header) {
      const [value, ...more] = (header ?? "")
        .split(";")
        .map((pair) => pair.trim())
        .filter((pair) => pair.startsWith(`${full}=`))
        .map((pair) => pair.slice(full.length + 1));
      return value === undefined || value === "" || more.length > 0 ? null : value;
    },
    write: (value, seconds) => `${full}=${value}; Max-Age=${seconds}; ${attributes}`,
    clear: () => `${full}=; Max-Age=0; ${attributes}`,
  };
}
