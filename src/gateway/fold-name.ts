/** Servers that hand headers on as variables (CGI, WSGI, PHP) read `X_Forwarded_For` as `X-Forwarded-For`. */
export function foldName(name: string): string {
  return PLAIN_NAME.test(name) ? name : name.replaceAll(/[^a-z0-9]/g, "-");
}
const PLAIN_NAME = /^[a-z0-9-]+$/;
