import type { TrustPreset } from "./preset.ts";
import { aws } from "./presets/aws.ts";
import { awsEks } from "./presets/aws-eks.ts";
import { azure } from "./presets/azure.ts";
import { cloudflareAccess } from "./presets/cloudflare-access.ts";
import { gcp } from "./presets/gcp.ts";
import { generic } from "./presets/generic.ts";
import { githubActions } from "./presets/github-actions.ts";
import { gitlab } from "./presets/gitlab.ts";
import { kubernetes } from "./presets/kubernetes.ts";
import { spiffe } from "./presets/spiffe.ts";

export const PROVIDER_IDS = [
  "github-actions",
  "gitlab",
  "gcp",
  "azure",
  "aws",
  "aws-eks",
  "kubernetes",
  "spiffe",
  "cloudflare-access",
  "generic",
] as const;
export type TrustProviderId = (typeof PROVIDER_IDS)[number];

/** What is known of each platform. Issuers of well-known ones are only taken by their own preset. */
export const PRESETS: Readonly<Record<TrustProviderId, TrustPreset>> = {
  "github-actions": githubActions,
  gitlab,
  gcp,
  azure,
  aws,
  "aws-eks": awsEks,
  kubernetes,
  spiffe,
  "cloudflare-access": cloudflareAccess,
  generic,
};

const WELL_KNOWN: readonly TrustProviderId[] = [
  "github-actions",
  "gcp",
  "azure",
  "aws",
  "aws-eks",
  "cloudflare-access",
];

/**
 * The preset that an issuer belongs to, so that no rule goes around what its provider asks for by calling itself
 * something else; null where the issuer is nobody's in particular.
 */
export function ownerOf(issuer: string): TrustPreset | null {
  if (issuer === "https://gitlab.com") return gitlab;
  const id = WELL_KNOWN.find((candidate) => PRESETS[candidate].issuer.test(issuer));
  return id === undefined ? null : PRESETS[id];
}
