interface InjectorEnv {
  readonly UPSTREAM: string;
  readonly CREDENTIAL: string;
}

/**
 * The least a worker can do to lend a credential: no token, no decision, no record, no redaction. What the gateway
 * costs beyond this is the price of those.
 */
export default {
  async fetch(request: Request, env: InjectorEnv): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${env.CREDENTIAL}`);
    return fetch(env.UPSTREAM + pathname + search, {
      method: request.method,
      headers,
      body: request.body,
      redirect: "manual",
    });
  },
};
