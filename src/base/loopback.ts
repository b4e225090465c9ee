/** An address of 127.0.0.0/8 or `[::1]`, with or without a port. */
const LOOPBACK_ADDRESS = /^(https?:\/\/)(?:127(?:\.[0-9]{1,3}){3}|\[::1\])(?=$|:)/;

/**
 * The origin under which a gateway's passkeys work: browsers make none for addresses (a relying party's id is a domain,
 * WebAuthn §5.1.2), so that locally it is `localhost`'s.
 */
export function passkeyOrigin(origin: string): string {
  return origin.replace(LOOPBACK_ADDRESS, "$1localhost");
}
