import type { TrustPreset } from "../preset.ts";

const ID = /^[1-9][0-9]{0,19}$/;

/**
 * GitLab CI/CD ID tokens. Paths of groups and projects can be renamed and taken by others; the numeric ids cannot. In a
 * merge request's pipeline that comes from a fork, `project_*` and `namespace_*` name the fork (GitLab issue 563038):
 * a fork does not match its parent's ids.
 *
 * https://docs.gitlab.com/ci/secrets/id_token_authentication
 */
export const gitlab: TrustPreset = {
  id: "gitlab",
  title: "GitLab CI/CD",
  docs: "https://docs.gitlab.com/ci/secrets/id_token_authentication",
  issuer: /^https:\/\/[^*]+$/,
  issuerExample: "https://gitlab.com",
  pins: [{ project_id: ID, namespace_id: ID }],
  advice:
    'Pin `project_id` and `namespace_id`, then narrow by `ref_protected: "true"`, `ref` with `ref_type`, or `environment`.',
};
