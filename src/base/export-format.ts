import { Problem } from "./problem.ts";

/** In which forms a list can be exported, by media type; the first is for those who do not say. */
export const EXPORT_MEDIA = {
  "application/x-ndjson": "ndjson",
  "application/json": "json",
  "text/csv": "csv",
} as const;

export type ExportMedia = keyof typeof EXPORT_MEDIA;

const ALIASES: Readonly<Record<string, ExportMedia>> = {
  "application/ndjson": "application/x-ndjson",
  "application/jsonl": "application/x-ndjson",
  "text/*": "text/csv",
  "application/*": "application/x-ndjson",
  "*/*": "application/x-ndjson",
};

function isExportMedia(type: string): type is ExportMedia {
  return Object.hasOwn(EXPORT_MEDIA, type);
}

/**
 * The media type that `Accept` (RFC 9110 §12.5.1) likes best, the one named first among equals; NDJSON where it is left
 * out. Null where it takes none of them.
 */
export function exportMediaOf(accept: string | null): ExportMedia | null {
  let best: { readonly media: ExportMedia; readonly quality: number } | null = null;
  for (const range of (accept ?? "*/*").split(",").slice(0, 20)) {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const media = isExportMedia(name) ? name : ALIASES[name];
    const weight = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
    const quality = weight === undefined ? 1 : Number(weight);
    if (media !== undefined && quality > (best?.quality ?? 0)) best = { media, quality };
  }
  return best?.media ?? null;
}

/** As `exportMediaOf`. Throws NOT_ACCEPTABLE where `Accept` takes none of them. */
export function acceptedExportMedia(accept: string | null): ExportMedia {
  const media = exportMediaOf(accept);
  if (media !== null) return media;
  throw new Problem("NOT_ACCEPTABLE", `This is to be had as ${Object.keys(EXPORT_MEDIA).join(", ")}.`, {
    why: "Name one of them in `Accept`.",
  });
}
