import type { TrustPreset } from "../preset.ts";
import { SERVICE_ACCOUNT } from "./kubernetes.ts";

/**
 * Service accounts of an EKS cluster (the issuer that IRSA uses).
 *
 * https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
 */
export const awsEks: TrustPreset = {
  id: "aws-eks",
  title: "AWS EKS",
  docs: "https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html",
  issuer: /^https:\/\/oidc\.eks\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?\/id\/[0-9A-F]{32}$/,
  issuerExample: "https://oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
  pins: [{ sub: SERVICE_ACCOUNT }],
  foreignAudience: {
    form: /^(?:sts\.amazonaws\.com(?:\.cn)?$|https:\/\/kubernetes\.default)/,
    why: "tokens with this audience are made for AWS or the cluster; project one with an audience of its own",
  },
  advice:
    "Pin `subject` to `system:serviceaccount:{namespace}:{name}` and project a token with your own audience.",
};
