import type { TrustPreset } from "../preset.ts";

const ID = /^[1-9][0-9]{0,19}$/;

/**
 * GitHub Actions. Owner and repository names can be renamed, deleted and registered again by somebody else; the ids
 * cannot. Subjects of repositories made or renamed after 15 July 2026 carry the ids themselves
 * (`repo:octo-org@123456/octo-repo@456789:…`) and pin alone; older ones (`repo:octo-org/octo-repo:…`) never do.
 *
 * https://docs.github.com/en/actions/reference/security/oidc
 * https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
 */
export const githubActions: TrustPreset = {
  id: "github-actions",
  title: "GitHub Actions",
  docs: "https://docs.github.com/en/actions/reference/security/oidc",
  issuer:
    /^https:\/\/token\.actions\.(?:githubusercontent\.com|[a-z0-9-]{1,63}\.ghe\.com)(?:\/[A-Za-z0-9_-]{1,100})?$/,
  issuerExample: "https://token.actions.githubusercontent.com",
  pins: [
    { repository_id: ID, repository_owner_id: ID },
    { sub: /^repo:[^@/:*]{1,100}@[1-9][0-9]{0,19}\/[^@/:*]{1,100}@[1-9][0-9]{0,19}:.{1,400}$/ },
  ],
  foreignAudience: {
    form: /^https:\/\/github\.com\//,
    why: "this is the audience of every token a workflow gets without asking for one",
  },
  advice:
    "Pin `repository_id` and `repository_owner_id`, then narrow by `ref`, `environment` or `job_workflow_ref`: without these every branch and pull request of the repository matches.",
};
