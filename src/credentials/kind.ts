import type { z } from "zod";
import type { Redacted } from "../base/redacted.ts";

/**
 * The request as it will leave, after every client credential, hop-by-hop and gateway header was taken out.
 * Attaching the credential is the last thing that happens to it.
 */
export interface Outgoing {
  readonly method: string;
  /** Canonical path, beginning with `/`; below the connection's base URL. */
  path: string;
  /** Raw query without its `?`, `""` if there is none; passed byte for byte but for what a kind adds or removes. */
  query: string;
  readonly headers: Headers;
  /** The whole body where the kind asked for it (`needsBody`), else null and the body streams past. */
  body: Uint8Array | null;
}

/** The opened secrets of a connection by the name its kind gives them (`secret`, or `username` and `password`). */
export type OpenSecrets = Readonly<Record<string, Redacted>>;

/**
 * *How* a credential is attached: code, never data. One file per kind in `kinds/`; a provider or a connection names
 * a kind and gives its options. Every kind knows how to put its credential on, how to take a client's own attempt at
 * the same place off, and which byte strings must never come back.
 */
export interface CredentialKind<Options = unknown> {
  readonly kind: string;
  /** What stands beside `kind` in a connection's `credential`. Strict: unknown keys are refused. */
  readonly options: z.ZodType<Options>;
  /** The secrets it needs under these options, by name; `["secret"]` for most, `["username", "password"]` for Basic. */
  secretNames(options: Options): readonly string[];
  /** True if the credential goes into the body: the gateway then reads the body whole, bounded. */
  readonly needsBody: boolean;
  /**
   * The one header that holds the credential, where nothing else does: the gateway leaves every spelling of it out when
   * it copies the headers, and then need not call `strip`.
   */
  header?(options: Options): string;
  /**
   * Takes off whatever the client put where the credential goes: every duplicate, case and encoding of it. Leaves
   * everything else byte for byte, never throws, and changes nothing when it runs a second time.
   */
  strip(outgoing: Outgoing, options: Options): void;
  /**
   * Attaches the credential. Throws `Problem("SECRET_UNUSABLE")` where the secret cannot stand there
   * (CR, LF, NUL or non-ASCII in a header, say), `Problem("VALIDATION_ERROR")` where the body cannot take it.
   */
  inject(outgoing: Outgoing, options: Options, secrets: OpenSecrets): void;
  /**
   * What must never come back: each secret as it is, and the forms this kind makes of it before any encoding
   * (Basic's `user:secret`). The redactor derives the encodings (base64, percent, JSON …) itself.
   */
  renderings(options: Options, secrets: OpenSecrets): readonly string[];
}

/** Identity, with the options' type inferred: how each file in `kinds/` declares itself. */
export function defineKind<Options>(kind: CredentialKind<Options>): CredentialKind<Options> {
  return kind;
}
