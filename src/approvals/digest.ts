import { canonicalJson } from "../audit/canonical-json.ts";
import { sha256Hex } from "../base/digest.ts";
import type { AgentId, SecretId, TenantId, VersionId } from "../base/ids.ts";
import type { Connection } from "../connections/connection.ts";
import type { PolicyRef } from "../policies/verdict.ts";
import { coveredHeaders, type SentHeaders } from "./digest-headers.ts";

/** One call, whole, as it would be sent but for its credential, and what it was decided on. */
export interface ExactCall {
  readonly tenantId: TenantId;
  readonly agentId: AgentId;
  /** What the token says it is for. */
  readonly purpose: {
    readonly tool: string | null;
    readonly user: string | null;
    readonly context: Readonly<Record<string, string | undefined>>;
  };
  readonly connection: Connection;
  readonly method: string;
  readonly scheme: "https" | "http";
  /** `host[:port]`. */
  readonly authority: string;
  /** Canonical, from the upstream's root. */
  readonly path: string;
  /** Raw, without `?`. */
  readonly query: string;
  readonly headers: SentHeaders;
  /** Its very bytes; null: none. */
  readonly body: Uint8Array | null;
  /** Those it uses, by the name that its connection (or a reference) gives them. */
  readonly secrets: Readonly<Record<string, UsedSecret>>;
  /** Those that asked, with what they ask for. */
  readonly policies: readonly PolicyRef[];
  readonly approvals: number;
  readonly delaySeconds: number;
}

export interface UsedSecret {
  readonly secretId: SecretId;
  readonly path: string;
  readonly versionId: VersionId;
  readonly version: number;
  readonly tier: string;
}

/** Digests of other things begin otherwise. */
const DOMAIN = "valetkey/approved-call/1";

/**
 * SHA-256, in hex, of all that an approval covers, in canonical JSON (RFC 8785): two calls have the same only if they
 * are the same call, by the same agent for the same purpose, through the same configuration, with the same secrets,
 * asked for by the same policies. What it leaves out are headers that change nothing (digest-headers.ts), and which of
 * its tokens the agent sends it with.
 */
export function digestOfCall(call: ExactCall): string {
  const { tenantId, agentId, purpose, method, scheme, authority, path, query, body } = call;
  return sha256Hex(
    canonicalJson({
      domain: DOMAIN,
      tenant: tenantId,
      agent: agentId,
      purpose,
      connection: configurationOf(call.connection),
      method,
      target: { scheme, authority, path, query },
      headers: coveredHeaders(call.headers),
      body: body === null ? null : { bytes: body.byteLength, sha256: sha256Hex(body) },
      secrets: Object.fromEntries(
        Object.entries(call.secrets).map(([name, { secretId, path: at, versionId, version, tier }]) => [
          name,
          { id: secretId, path: at, version_id: versionId, version, tier },
        ]),
      ),
      policies: call.policies.map(({ id, version }) => ({ id, version })),
      approvals: call.approvals,
      delay_seconds: call.delaySeconds,
    }),
  );
}

/** All of it: a connection that was changed, and be it back to what it was, is another. */
function configurationOf(connection: Connection): Omit<Connection, "createdAt"> {
  const { id, slug, provider, baseUrl, credential, secrets, allow, limits } = connection;
  const { references, websockets, redact, updatedAt } = connection;
  return {
    ...{ id, slug, provider, baseUrl, credential, secrets, allow, limits },
    ...{ references, websockets, redact, default: connection.default, updatedAt },
  };
}
