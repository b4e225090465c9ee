import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { formsOf, placesWithSecrets, watchSecret } from "../support/canary.ts";

/** Made up here, and stored nowhere: only to see that the search that ends every gateway finds what it looks for. */
const PLANTED = "planted-Zq81_never-stored+anywhere/42";

test("the search for stored secrets finds each form in a database file, a write-ahead log and the log", () => {
  watchSecret(PLANTED);
  const stateDir = mkdtempSync(path.join(tmpdir(), "valetkey-canary-"));
  try {
    for (const kept of ["d1", "do"]) mkdirSync(path.join(stateDir, kept, "inner"), { recursive: true });
    expect(placesWithSecrets(stateDir, "nothing")).toEqual([]);
    for (const form of formsOf(PLANTED)) {
      const file = path.join(stateDir, "do/inner/x.sqlite-wal");
      writeFileSync(file, Buffer.concat([Buffer.from([0, 255, 1]), form, Buffer.from([0])]));
      expect(placesWithSecrets(stateDir, ""), form.toString()).toEqual(["do/inner/x.sqlite-wal"]);
      rmSync(file);
    }
    for (const before of ["", "x", "xy"]) {
      const echoed = Buffer.from(`${before}${PLANTED} and more`).toString("base64");
      expect(placesWithSecrets(stateDir, `log: ${echoed}`)).toEqual(["what the gateway printed"]);
    }
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});
