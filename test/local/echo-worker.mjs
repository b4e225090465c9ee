import { DurableObject } from "cloudflare:workers";

/** Keeps strings, each acknowledged when it is stored. */
export class ScopedToken extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS kept (value TEXT)");
  }
  keep(value) {
    this.ctx.storage.sql.exec("INSERT INTO kept VALUES (?)", value);
  }
  kept() {
    return this.ctx.storage.sql.exec("SELECT value FROM kept").toArray().length;
  }
}

/** What a worker sees of a request, and both kinds of storage: the least that shows how workerd serves. */
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const object = env.SCOPED_TOKEN.getByName("one");
    if (url.pathname === "/keep") {
      await env.DB.exec("CREATE TABLE IF NOT EXISTS kept (value TEXT)");
      await env.DB.prepare("INSERT INTO kept VALUES (?)").bind(url.searchParams.get("value")).run();
      await object.keep(url.searchParams.get("value"));
      return new Response("kept");
    }
    if (url.pathname === "/kept") {
      const row = await env.DB.prepare("SELECT count(*) AS n FROM kept").first();
      return Response.json({ object: await object.kept(), database: row.n });
    }
    if (url.pathname === "/fetch") return fetch(url.searchParams.get("url"), { redirect: "manual" });
    return Response.json({ cf: request.cf, environment: env.ENVIRONMENT, hosts: env.HOSTS });
  },
};
