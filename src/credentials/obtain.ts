import type { TenantId } from "../base/ids.ts";
import { Problem } from "../base/problem.ts";
import type { SealedSecret, Vault } from "../vault/vault.ts";
import { allowedHostOf, type Destination, isAllowedHost } from "../connections/destination.ts";
import type { OpenSecrets } from "./kind.ts";

/** The sealed secrets of a call by the name its kind (or a reference) gives them. */
export type SealedSecrets = Readonly<Record<string, SealedSecret>>;

/**
 * A secret goes only to hosts that it allows itself, whatever the connection says, only if it could be found in a
 * response again, and only until it expires. `now` is in milliseconds since 1970. Throws DESTINATION_DENIED or
 * SECRET_UNUSABLE.
 */
export function checkUse(sealed: SealedSecret, destination: Destination, now: number): void {
  if (sealed.allowedHosts === null || !isAllowedHost(destination, sealed.allowedHosts)) {
    throw new Problem("DESTINATION_DENIED", `The secret may not be sent to ${allowedHostOf(destination)}.`, {
      why: "A person must add the host to the secret's `allowed_hosts`.",
    });
  }
  if (!sealed.redactable) {
    throw new Problem(
      "SECRET_UNUSABLE",
      "The secret is too short or too regular to be kept out of responses.",
      {
        why: "Store a credential of at least 8 characters.",
      },
    );
  }
  if (sealed.expiresAt !== null && sealed.expiresAt <= now) {
    throw new Problem("SECRET_UNUSABLE", "The secret has expired.", {
      why: "An editor of this tenant must store a new value, or give the secret another `expires_at`.",
    });
  }
}

/** The only way to a plaintext for a call. */
export class Credentials {
  readonly #vault: Vault;

  constructor(dependencies: { vault: Vault }) {
    this.#vault = dependencies.vault;
  }

  /** True if opening needs no call to a key provider. */
  isWarm(sealed: SealedSecrets): boolean {
    return Object.values(sealed).every((secret) => this.#vault.isWarm(secret));
  }

  async open(tenantId: TenantId, sealed: SealedSecrets): Promise<OpenSecrets> {
    const entries = Object.entries(sealed);
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      return { [only[0]]: await this.#vault.reveal(tenantId, only[1]) };
    }
    return Object.fromEntries(
      await Promise.all(
        entries.map(async ([name, secret]) => [name, await this.#vault.reveal(tenantId, secret)] as const),
      ),
    );
  }
}
