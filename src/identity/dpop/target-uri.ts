const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** RFC 3986 §6.2.2.1, §6.2.2.2: escapes in capitals, and none where the character may stand for itself. */
function normalizeEscapes(path: string): string {
  return path.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

/**
 * A target URI as RFC 9449 §4.3 compares it: without query and fragment, after syntax- and scheme-based normalisation
 * (RFC 3986 §6.2.2, §6.2.3). Null for what is no http URL, names a user, or has characters that readers repair in
 * different ways.
 */
export function normalizeTargetUri(uri: string): string | null {
  if (!/^https?:\/\/[\x21-\x5b\x5d-\x7e]+$/i.test(uri) || !URL.canParse(uri)) return null;
  const url = new URL(uri);
  if (/^[^/]*\/\/[^/?#]*@/.test(uri)) return null;
  return `${url.protocol}//${url.host}${normalizeEscapes(url.pathname)}`;
}
