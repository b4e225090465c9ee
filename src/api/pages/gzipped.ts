/** Answers with a file that is kept compressed, and sends it so to whoever takes it. */
export function gzipped(
  bytes: ArrayBuffer | Uint8Array<ArrayBuffer>,
  contentType: string,
  acceptEncoding: string | null,
): Response {
  const headers = { "content-type": contentType, vary: "accept-encoding" };
  if (/\bgzip\b/i.test(acceptEncoding ?? "")) {
    return new Response(bytes, { headers: { ...headers, "content-encoding": "gzip" }, encodeBody: "manual" });
  }
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(plain, { headers });
}
