import assert from "node:assert/strict";
import { decodeBase62, encodeBase62 } from "../../../src/base/base62.ts";
import { checksum } from "../../../src/base/crc32.ts";
import { idFromBytes } from "../../../src/base/ids.ts";
import { type TokenClaims, TokenSigner } from "../../../src/tokens/token.ts";

const keyOf = (byte: number): string => Buffer.alloc(32, byte).toString("base64");
const NOW = Date.UTC(2026, 10, 22);
const later = (): number => NOW;

/** Deployed with two keys of which one signs, so that a payload can name another one that is live. */
export const signer = new TokenSigner(`1:${keyOf(1)},2:${keyOf(2)}`);
export const CLAIMS: TokenClaims = {
  tenantId: idFromBytes("tenant", Buffer.alloc(8, 0xa1)),
  tokenId: idFromBytes("token", Buffer.alloc(12, 0xb2)),
  expiresAt: NOW + 60_000,
};
export const TOKEN = signer.issue(CLAIMS);
const PAYLOAD_BYTES = 60;
const PAYLOAD = decodeBase62(TOKEN.slice(4, -6)) ?? new Uint8Array();

/** Only the one token that was issued is read, as what it was issued for; everything else is null and never throws. */
export function checkToken(text: string): void {
  const claims = signer.verify(text, later);
  if (text === TOKEN) assert.deepEqual(claims, CLAIMS);
  else assert.equal(claims, null);
  const bytes = decodeBase62(text);
  if (bytes !== null) assert.equal(encodeBase62(bytes), text);
}

/** A payload in the right dress, its checksum right as well: what is left to refuse it is its tag. */
export function checkPayload(payload: Uint8Array): void {
  const text = `vkt_${encodeBase62(payload)}`;
  checkToken(text + checksum(text));
}

/** The issued token with some of its characters, or some of its payload's bytes, replaced. */
export function checkMutation(edits: readonly (readonly [place: number, value: number])[]): void {
  const characters = [...TOKEN];
  const payload = PAYLOAD.slice();
  for (const [place, value] of edits) {
    characters[place % characters.length] = String.fromCharCode(value);
    payload[place % payload.length] = value & 0xff;
  }
  checkToken(characters.join(""));
  checkPayload(payload);
}

export function fuzz(data: Buffer): void {
  checkToken(data.toString("latin1"));
  const payload = new Uint8Array(PAYLOAD_BYTES);
  payload.set(data.subarray(0, PAYLOAD_BYTES));
  checkPayload(payload);
  const edits: [number, number][] = [];
  for (let at = 0; at + 1 < data.length; at += 2) edits.push([data[at] ?? 0, data[at + 1] ?? 0]);
  checkMutation(edits);
}
