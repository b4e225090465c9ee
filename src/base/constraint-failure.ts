/** Whether a statement or its batch failed on a constraint, by the text that SQLite has for it. */
export function failedOn(error: unknown, constraint: string): boolean {
  // drizzle wraps what the database said.
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.message.includes(constraint)) return true;
  }
  return false;
}
