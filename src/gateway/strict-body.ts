import type { BodyView } from "../policies/request-view.ts";
import { foldName } from "./fold-name.ts";
import { readStrictJson } from "./strict-json.ts";
import { readStrictForm } from "./strict-parameters.ts";
import { ambiguous } from "./strict-refusal.ts";

const JSON_TYPE = /^(?:application\/json|[a-z0-9!#$&^_.-]+\/[a-z0-9!#$&^_.-]+\+json)$/;
const FORM_TYPE = "application/x-www-form-urlencoded";
const CHARSET = /^charset\s*=\s*(?:"utf-?8"|utf-?8)$/;

const OPEN_OBJECT = 0x7b;
const OPEN_LIST = 0x5b;

/** Headers that say how the body is to be read; servers that fold names might take another one for them. */
const SAYS_HOW = new Set(["content-type", "content-encoding"]);

/**
 * What can be decided on of a body that is sent as `bytes` under `headers`: JSON or a form, in UTF-8, uncompressed, as
 * every parser reads it. Throws BODY_AMBIGUOUS for one that says it is and cannot be read so, and where headers
 * disagree about what it is.
 */
export function readStrictBody(bytes: Uint8Array, headers: Headers): BodyView {
  for (const [name] of headers) {
    if (!SAYS_HOW.has(name) && SAYS_HOW.has(foldName(name))) {
      ambiguous("body", "comes with two headers that say what it is");
    }
  }
  const type = headers.get("content-type");
  // Several are joined by commas, and then each server has its own idea of which counts.
  if (type?.includes(",")) ambiguous("body", "comes with more than one Content-Type");
  if (bytes.byteLength === 0) return { kind: "none" };
  if (type === null) return unreadable("has no Content-Type");
  if (headers.has("content-encoding")) return unreadable("is compressed");
  const [media = "", ...parameters] = type.toLowerCase().split(";");
  const charsets = parameters.map((one) => one.trim()).filter((one) => one.startsWith("charset"));
  if (charsets.length > 1 || !charsets.every((one) => CHARSET.test(one))) {
    return unreadable("is in another charset than UTF-8");
  }
  if (JSON_TYPE.test(media.trim())) return { kind: "json", ...readStrictJson(bytes) };
  if (media.trim() === FORM_TYPE) {
    // What reads JSON whatever its type (curl's `-d` says that it is a form) would find other fields in it.
    if (bytes[0] === OPEN_OBJECT || bytes[0] === OPEN_LIST)
      ambiguous("body", "says it is a form, and begins as JSON does");
    return { kind: "form", value: readStrictForm(bytes) };
  }
  return unreadable("is neither JSON nor a form");
}

function unreadable(why: string): BodyView {
  return { kind: "unreadable", why };
}
