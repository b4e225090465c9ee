import type { Provider } from "../provider.ts";

/** Octokit sends the scheme `token`, curl examples `Bearer`. GitHub refuses requests without a user agent. */
export const github: Provider = {
  id: "github",
  name: "GitHub",
  baseUrl: "https://api.github.com",
  hosts: ["api.github.com", "uploads.github.com"],
  tokenIn: [
    { in: "header", name: "authorization", scheme: "Bearer" },
    { in: "header", name: "authorization", scheme: "token" },
    { in: "header", name: "authorization", scheme: "Basic" },
  ],
  credential: { kind: "bearer" },
  defaultHeaders: { "user-agent": "valetkey" },
  docs: "https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api",
  probe: { method: "GET", path: "/rate_limit" },
  hints: [
    {
      method: "POST",
      path: "/repos/{owner}/{repo}/pulls",
      title: "Open a pull request in {owner}/{repo}: {head} into {base}",
      fields: { base: { at: ["body.base"] }, head: { at: ["body.head"] }, title: { at: ["body.title"] } },
    },
    {
      method: "PUT",
      path: "/repos/{owner}/{repo}/pulls/{number}/merge",
      title: "Merge pull request {number} of {owner}/{repo}",
      fields: { commit: { at: ["body.sha"] }, method: { at: ["body.merge_method"] } },
    },
    {
      method: "POST",
      path: "/repos/{owner}/{repo}/merges",
      title: "Merge {head} into {base} of {owner}/{repo}",
      fields: { base: { at: ["body.base"] }, head: { at: ["body.head"] } },
    },
    {
      method: "PUT",
      path: "/repos/{owner}/{repo}/contents/{+path}",
      title: "Write {path} in {owner}/{repo}",
      fields: { branch: { at: ["body.branch"] }, message: { at: ["body.message"] } },
    },
    {
      method: "PATCH",
      path: "/repos/{owner}/{repo}/git/refs/heads/{+branch}",
      title: "Move {branch} of {owner}/{repo} to {commit}",
      fields: { commit: { at: ["body.sha"] }, force: { at: ["body.force"] } },
    },
    {
      method: "POST",
      path: "/repos/{owner}/{repo}/releases",
      title: "Release {tag} of {owner}/{repo}",
      fields: { tag: { at: ["body.tag_name"] }, target: { at: ["body.target_commitish"] } },
    },
    {
      method: "PUT",
      path: "/repos/{owner}/{repo}/collaborators/{user}",
      title: "Let {user} into {owner}/{repo}",
      fields: { permission: { at: ["body.permission"] } },
    },
    {
      method: "POST",
      path: "/repos/{owner}/{repo}/actions/workflows/{workflow}/dispatches",
      title: "Run {workflow} of {owner}/{repo} on {ref}",
      fields: { ref: { at: ["body.ref"] } },
    },
    { method: "DELETE", path: "/repos/{owner}/{repo}", title: "Delete {owner}/{repo}" },
  ],
};
