import { createHash, randomBytes } from "node:crypto";
import { header } from "../../../local/upstream.ts";
import { bodyOf, type Emulation, emulate, type Exchange, json } from "./emulation.ts";

export interface GitHubEmulation extends Emulation {
  /** What an uploaded asset's bytes hash to, by the asset's name. */
  digests: Map<string, string>;
  /** The bytes of `README.bin`. */
  content: Buffer;
  /** Where archives are, a host of their own: what `Location` says. */
  archiveUrl: string;
}

/**
 * GitHub's REST API (docs.github.com/en/rest): issues in pages linked by absolute URLs of the upstream's own, raw
 * contents, release assets, archives by redirect, GraphQL. `api.github.com` and `uploads.github.com` in one.
 */
export function gitHubEmulation(credential: string): GitHubEmulation {
  const digests = new Map<string, string>();
  const content = randomBytes(200_000);
  const issues: Record<string, unknown>[] = [];

  const listIssues = (exchange: Exchange): void => {
    const { searchParams } = exchange.url;
    const perPage = Number(searchParams.get("per_page") ?? 30);
    const page = Number(searchParams.get("page") ?? 1);
    const last = Math.max(1, Math.ceil(issues.length / perPage));
    // Pages after the first are named by the repository's number, with the host that answers.
    const link = (target: number, rel: string): string =>
      `<${originOf(exchange)}/repositories/1300192/issues?per_page=${perPage}&page=${target}>; rel="${rel}"`;
    const links = [
      ...(page > 1 ? [link(page - 1, "prev"), link(1, "first")] : []),
      ...(page < last ? [link(page + 1, "next"), link(last, "last")] : []),
    ];
    json(exchange, 200, issues.slice((page - 1) * perPage, page * perPage), {
      "x-github-media-type": "github.v3; format=json",
      "x-ratelimit-remaining": "4999",
      ...(links.length === 0 ? {} : { link: links.join(", ") }),
    });
  };

  const emulation: GitHubEmulation = {
    ...emulate({
      place: { header: "authorization", value: `Bearer ${credential}` },
      encoding: "gzip",
      refuse: (exchange) => json(exchange, 401, gitHubError(`Bad credentials: ${exchange.echo}`, 401)),
      calls: {
        "POST /repos/octo/valet/issues": (exchange) => {
          const { title, body } = bodyOf(exchange);
          if (typeof title !== "string" || title === "") {
            const errors = [{ resource: "Issue", code: "missing_field", field: "title" }];
            json(exchange, 422, { ...gitHubError("Validation Failed", 422), errors });
            return;
          }
          const number = issues.length + 1;
          const url = `${originOf(exchange)}/repos/octo/valet/issues/${number}`;
          const issue = {
            id: 1000 + number,
            number,
            title,
            body,
            state: "open",
            url,
            user: { login: exchange.echo },
          };
          issues.push(issue);
          json(exchange, 201, issue, { location: url });
        },
        "PATCH /repos/octo/valet/issues/:number": (exchange) => {
          const issue = issues[Number(exchange.params["number"]) - 1];
          json(exchange, 200, Object.assign(issue ?? {}, bodyOf(exchange)));
        },
        "GET /repos/octo/valet/issues": listIssues,
        "GET /repositories/1300192/issues": listIssues,
        "GET /repos/octo/valet/contents/README.bin": (exchange) => {
          const raw = header(exchange.request, "accept")?.includes("application/vnd.github.raw") === true;
          if (!raw) {
            const encoded = { type: "file", encoding: "base64", content: content.toString("base64") };
            json(exchange, 200, { ...encoded, name: "README.bin", size: content.length });
            return;
          }
          exchange.response.writeHead(200, {
            "content-type": "application/vnd.github.raw+json; charset=utf-8",
          });
          exchange.response.end(content);
        },
        "POST /repos/octo/valet/releases/:release/assets": (exchange) => {
          const name = exchange.url.searchParams.get("name") ?? "";
          const { body } = exchange.request;
          if (header(exchange.request, "content-length") !== String(body.length)) {
            json(exchange, 400, gitHubError("Bad Content-Length", 400));
            return;
          }
          digests.set(name, createHash("sha256").update(body).digest("hex"));
          const contentType = header(exchange.request, "content-type");
          json(exchange, 201, {
            id: 1,
            name,
            size: body.length,
            content_type: contentType,
            state: "uploaded",
          });
        },
        "GET /repos/octo/valet/tarball/main": (exchange) => {
          exchange.response.writeHead(302, {
            location: `${emulation.archiveUrl}/octo/valet/legacy.tar.gz/main`,
          });
          exchange.response.end();
        },
        "GET /repos/octo/valet-old": (exchange) => {
          const url = `${originOf(exchange)}/repositories/1300192`;
          json(exchange, 301, { message: "Moved Permanently", url }, { location: url });
        },
        "GET /repos/octo/valet-older": (exchange) => {
          const url = "/repos/octo/valet-old";
          json(
            exchange,
            307,
            { message: "Moved", url },
            { location: url, link: `<${url}>; rel="canonical"` },
          );
        },
        "GET /repositories/1300192": (exchange) =>
          json(exchange, 200, { id: 1300192, full_name: "octo/valet", private: true }),
        "POST /graphql": (exchange) => {
          const { query, variables } = bodyOf(exchange);
          json(exchange, 200, { data: { viewer: { login: variables.login, bio: exchange.echo, query } } });
        },
        "GET /repos/octo/nothing": (exchange) => json(exchange, 404, gitHubError("Not Found", 404)),
      },
    }),
    digests,
    content,
    archiveUrl: "",
  };
  return emulation;
}

/** A body of GitHub's errors. */
export function gitHubError(message: string, status: number) {
  return { message, documentation_url: "https://docs.github.com/rest", status: String(status) };
}

function originOf(exchange: Exchange): string {
  return `http://${header(exchange.request, "host")}`;
}
