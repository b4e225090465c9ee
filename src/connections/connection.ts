import type { ConnectionId } from "../base/ids.ts";
import type { AllowRule, ConnectionLimits, RedactSettings, ReferencePlace } from "./schemas.ts";

/** A connection as it is configured. */
export interface Connection {
  readonly id: ConnectionId;
  readonly slug: string;
  /** Catalogue id, or null for a connection of one's own. */
  readonly provider: string | null;
  readonly baseUrl: string;
  readonly credential: Readonly<Record<string, unknown>>;
  /** Secret paths by the name the credential kind gives them. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly allow: readonly AllowRule[] | null;
  readonly limits: ConnectionLimits;
  readonly references: readonly ReferencePlace[];
  readonly websockets: boolean;
  readonly redact: RedactSettings;
  readonly default: "allow" | "deny";
  readonly createdAt: number;
  readonly updatedAt: number;
}
