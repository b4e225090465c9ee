/**
 * Folds case the way the most lenient parsers do (Go's `encoding/json` and `EqualFold`): by way of upper case, so that
 * `ſ` and the Kelvin sign meet `s` and `k`. For telling a client's attempt at a name, never for storing one.
 */
export function foldCase(text: string): string {
  return text.toUpperCase().toLowerCase();
}
