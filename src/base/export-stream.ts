import { csvRow, type CsvCell } from "./csv.ts";
import { EXPORT_MEDIA, type ExportMedia } from "./export-format.ts";

/** A line of an export: what JSON holds. In CSV, lists and objects are JSON in one cell. */
export type ExportRow = Readonly<Record<string, unknown>>;

/**
 * Writes rows as they come, in one of three forms: NDJSON, one JSON list, or CSV with a header. A page is asked for when
 * the one before is taken, so that an export of any size holds one page. `columns` are CSV's, and the only ones.
 */
export function exportStream(
  media: ExportMedia,
  columns: readonly string[],
  pages: AsyncIterable<readonly ExportRow[]>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = pages[Symbol.asyncIterator]();
  const write = writerFor(media, columns);
  let isBegun = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      const rows = next.done ? [] : next.value;
      const text = write(rows, !isBegun, next.done === true);
      isBegun = true;
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (next.done) controller.close();
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

type Write = (rows: readonly ExportRow[], isFirst: boolean, isLast: boolean) => string;

function writerFor(media: ExportMedia, columns: readonly string[]): Write {
  const line = (row: ExportRow) => csvRow(columns.map((column) => cellOf(row[column])));
  let hasRows = false;
  switch (EXPORT_MEDIA[media]) {
    case "ndjson":
      return (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    case "csv":
      return (rows, isFirst) => (isFirst ? csvRow(columns) : "") + rows.map(line).join("");
    case "json":
      return (rows, isFirst, isLast) => {
        const items = rows.map((row) => JSON.stringify(row)).join(",\n");
        const comma = hasRows && items !== "" ? ",\n" : "";
        hasRows ||= items !== "";
        return `${isFirst ? "[" : ""}${comma}${items}${isLast ? "]\n" : ""}`;
      };
  }
}

function cellOf(value: unknown): CsvCell {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return JSON.stringify(value);
}

/** The headers of an export, to be saved as `{name}.csv` and the like. */
export function exportHeaders(media: ExportMedia, name: string): Record<string, string> {
  return {
    "content-type": media === "text/csv" ? `${media}; charset=utf-8; header=present` : media,
    "content-disposition": `attachment; filename="${name}.${EXPORT_MEDIA[media]}"`,
    "cache-control": "no-store",
  };
}
