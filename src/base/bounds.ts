/**
 * For `schema.refine(...atMostAsJson(8_192))`: what a request carries, isolates keep at hand and match every call
 * against is bounded as a whole, not by its parts alone.
 */
export function atMostAsJson(characters: number): [check: (value: unknown) => boolean, message: string] {
  return [
    (value) => JSON.stringify(value).length <= characters,
    `must have at most ${characters} characters as JSON`,
  ];
}
