import type { TrustPreset } from "../preset.ts";

/**
 * AWS IAM outbound identity federation (`sts:GetWebIdentityToken`). The issuer belongs to one account, so that a role's
 * ARN means something only together with it. Further claims lie in `https://sts.amazonaws.com/`:
 * `/https:~1~1sts.amazonaws.com~1/aws_account`.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
 */
export const aws: TrustPreset = {
  id: "aws",
  title: "AWS IAM",
  docs: "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html",
  issuer: /^https:\/\/[a-z0-9-]{1,63}\.tokens\.sts\.global\.api\.aws$/,
  issuerExample: "https://00000000-0000-0000-0000-000000000000.tokens.sts.global.api.aws",
  pins: [{ sub: /^arn:aws[a-z-]{0,20}:(?:iam|sts)::[0-9]{12}:[a-z-]+\/[^*]{1,400}$/ }],
  advice: "Pin `subject` to the role's ARN; the issuer is your account's own.",
};
