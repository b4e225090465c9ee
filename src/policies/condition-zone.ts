import { BoundedCache } from "../base/cache.ts";

const OFFSET = /^([+-]?)(\d\d):(\d\d)$/;
const QUARTER_HOUR_MS = 900_000;

/** Milliseconds east of UTC, by zone and quarter of an hour: no zone changes in between, and asking Intl is slow. */
const offsets = new BoundedCache<string, number>(1_000);
const formats = new BoundedCache<string, Intl.DateTimeFormat>(100);

/** The zone's own format, or null if there is no such zone. */
function formatOf(zone: string): Intl.DateTimeFormat | null {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  try {
    const format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      era: "short",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
    return format;
  } catch {
    return null;
  }
}

/** Whether CEL knows the zone: `UTC`, an IANA name such as `Europe/Berlin`, or an offset such as `+02:00`. */
export function isZone(zone: string): boolean {
  return OFFSET.test(zone) || formatOf(zone) !== null;
}

/** A date whose UTC fields are the wall clock of the zone; throws where there is no such zone. */
export function inZone(date: Date, zone: string): Date {
  const fixed = OFFSET.exec(zone);
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
    return new Date(date.getTime() + (fixed[1] === "-" ? -minutes : minutes) * 60_000);
  }
  return new Date(date.getTime() + offsetOf(date.getTime(), zone));
}

function offsetOf(milliseconds: number, zone: string): number {
  const start = Math.floor(milliseconds / QUARTER_HOUR_MS) * QUARTER_HOUR_MS;
  const key = `${zone} ${start}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const format = formatOf(zone);
  if (format === null) throw new Error("There is no such time zone.");
  const parts = new Map(format.formatToParts(start).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  const year = parts.get("era") === "BC" ? 1 - number("year") : number("year");
  const wall = new Date(0);
  wall.setUTCFullYear(year, number("month") - 1, number("day"));
  wall.setUTCHours(number("hour"), number("minute"), number("second"));
  const offset = wall.getTime() - start;
  offsets.set(key, offset);
  return offset;
}
