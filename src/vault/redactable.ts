const MIN_BYTES = 8;

/**
 * Whether a value can be told from ordinary content when it comes back in a response (attack 44): 8 bytes or more, and
 * no short unit said again and again.
 */
export function isRedactable(value: Uint8Array): boolean {
  const period = smallestPeriod(value);
  const isRepetition = period * 2 <= value.byteLength;
  return value.byteLength >= MIN_BYTES && !(isRepetition && period < MIN_BYTES);
}

/** The smallest shift under which a string matches itself (the failure function of Knuth, Morris and Pratt). */
function smallestPeriod(value: Uint8Array): number {
  const borders = new Uint32Array(value.byteLength + 1);
  let border = 0;
  for (let end = 1; end < value.byteLength; end++) {
    while (border > 0 && value[border] !== value[end]) border = borders[border] ?? 0;
    if (value[border] === value[end]) border++;
    borders[end + 1] = border;
  }
  return value.byteLength - border;
}
