import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Tree } from "./tree.ts";

export interface TestResult {
  /** From the root of the project. */
  readonly file: string;
  readonly title: string;
  readonly state: "passed" | "failed";
}

export interface RunResult {
  /** Of the tests that ran, in their order. */
  readonly tests: readonly TestResult[];
  /** What went wrong besides tests: a file that could not be loaded, a time limit. Null: nothing. */
  readonly trouble: string | null;
}

const outputSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(
        z.object({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});

/** Which of vitest's projects a test belongs to. */
export function projectOf(file: string): "worker" | "gateway" {
  return file.startsWith("test/worker/") ? "worker" : "gateway";
}

/** Runs the tests of one project whose names match the pattern; with `bail`, up to the first that fails. */
export async function runTests(
  tree: Tree,
  files: readonly string[],
  pattern: string,
  limits: { readonly seconds: number; readonly bail: boolean },
): Promise<RunResult> {
  const project = projectOf(files[0] ?? "");
  const output = path.join(tree.dir, "node_modules", `.prove-${project}.json`);
  await rm(output, { force: true });
  const child = spawn(
    process.execPath,
    [
      path.join(tree.dir, "node_modules/vitest/vitest.mjs"),
      "run",
      `--project=${project}`,
      "--reporter=json",
      `--outputFile=${output}`,
      ...(limits.bail ? ["--bail=1"] : []),
      "-t",
      pattern,
      ...files,
    ],
    // A group of its own, so that a time limit ends the servers under test as well.
    { cwd: tree.dir, stdio: ["ignore", "ignore", "ignore"], detached: true },
  );
  const end = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  };
  process.once("exit", end);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    end();
  }, limits.seconds * 1000);
  await new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  clearTimeout(timer);
  process.off("exit", end);
  end();
  if (!existsSync(output)) {
    return { tests: [], trouble: isLate ? `not done within ${limits.seconds} s` : "vitest did not report" };
  }
  return read(tree, readFileSync(output, "utf8"));
}

function read(tree: Tree, text: string): RunResult {
  const { testResults } = outputSchema.parse(JSON.parse(text));
  const tests: TestResult[] = [];
  let trouble: string | null = null;
  for (const { name, status, message, assertionResults } of testResults) {
    const file = path.relative(tree.dir, name);
    for (const { fullName, status: state } of assertionResults) {
      if (state === "passed" || state === "failed") tests.push({ file, title: fullName, state });
    }
    if (status === "failed" && assertionResults.every((result) => result.status !== "failed")) {
      trouble ??= `${file}: ${(message ?? "").split("\n")[0]}`;
    }
  }
  return { tests, trouble };
}
