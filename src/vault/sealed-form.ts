/** An envelope as it is kept in a row of another room's, its bytes in base64. */
export interface SealedText {
  readonly format: number;
  readonly nonce: string;
  readonly ciphertext: string;
  readonly wrapped: string;
  readonly keyVersion: string;
}
