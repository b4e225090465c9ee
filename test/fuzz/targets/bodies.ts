import assert from "node:assert/strict";
import { Problem } from "../../../src/base/problem.ts";
import { foldCase } from "../../../src/credentials/fold-case.ts";
import { readStrictJson } from "../../../src/gateway/strict-json.ts";
import { readStrictForm, readStrictQuery } from "../../../src/gateway/strict-parameters.ts";
import type { Parameters } from "../../../src/policies/request-view.ts";
import { lookUp, nestingPath, nestingReader, pairsOf, phpPath, phpReader } from "../readers/forms.ts";
import { exact, type Found, findJson } from "../readers/json.ts";

/** What a reader gives; null where it refuses, which it may only do as ambiguous. */
function read<T>(reader: () => T): T | null {
  try {
    return reader();
  } catch (error) {
    assert.ok(error instanceof Problem, String(error));
    assert.ok(["BODY_AMBIGUOUS", "JSON_TOO_DEEP"].includes(error.code), error.code);
    return null;
  }
}

/** JSON that is read is what every other reader finds: `JSON.parse`, one that keeps the first, Go's, an exact one. */
export function checkJson(bytes: Uint8Array): boolean {
  const value = read(() => ({ of: readStrictJson(bytes).value }));
  if (value === null) return false;
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  same(value.of, findJson(text), JSON.parse(text));
  return true;
}

function same(value: unknown, found: Found, parsed: unknown): void {
  switch (found.kind) {
    case "object": {
      assert.ok(typeof value === "object" && value !== null);
      assert.equal(Object.getPrototypeOf(value), null);
      const names = found.members.map(([name]) => name);
      assert.equal(new Set(names.map((name) => foldCase(name).split("\0")[0])).size, names.length);
      assert.deepEqual(new Set(Object.keys(value)), new Set(names));
      for (const [name, member] of found.members) {
        const own = Object.getOwnPropertyDescriptor(parsed, name)?.value as unknown;
        same((value as Record<string, unknown>)[name], member, own);
      }
      return;
    }
    case "list":
      assert.ok(Array.isArray(value) && Array.isArray(parsed));
      assert.equal(value.length, found.items.length);
      for (const [index, item] of found.items.entries()) same(value[index], item, parsed[index]);
      return;
    case "number": {
      assert.ok(typeof value === "number" && !Object.is(value, -0));
      assert.ok(value === parsed);
      const [a, b] = [exact(found.literal), exact(String(value))];
      assert.ok(a !== null && b !== null, found.literal);
      assert.ok(a[0] * b[1] === b[0] * a[1], found.literal);
      // A reader of whole numbers takes no more.
      assert.ok(Math.abs(value) <= Number.MAX_SAFE_INTEGER);
      return;
    }
    case "other":
      assert.equal(value, found.value);
      assert.equal(value, parsed);
      if (typeof value === "string") assert.ok(value.isWellFormed() && !value.includes("\0"));
  }
}

/**
 * Of a form or query that is read, every name has the one value that others find for it: `URLSearchParams` by the first
 * and by the last, PHP, `qs` and Rack, and whoever ignores case, splits at `;` or decodes twice.
 */
export function checkParameters(text: string): boolean {
  const form = read(() => readStrictForm(Buffer.from(text, "latin1")));
  const query = read(() => readStrictQuery(text));
  assert.deepEqual(
    query === null ? null : Object.entries(query),
    form === null ? null : Object.entries(form),
  );
  if (form === null) return false;
  const search = new URLSearchParams(text);
  const [php, nested] = [phpReader(text), nestingReader(text)];
  const names = Object.keys(form);
  assert.deepEqual(new Set([...search.keys()]), new Set(names));
  for (const name of names) {
    const value: Parameters[string] | undefined = form[name];
    const path = phpPath(name);
    assert.ok(path !== null);
    if (typeof value === "string") {
      assert.deepEqual(search.getAll(name), [value]);
      assert.deepEqual(insensitive(text, name), [value]);
    } else {
      assert.deepEqual(search.getAll(name), value);
      assert.ok(name.endsWith("[]"));
    }
    assert.deepEqual(lookUp(php, path), isInList(name) ? lists(form, name) : value, `PHP: ${name}`);
    assert.deepEqual(
      lookUp(nested, nestingPath(name)),
      isInList(name) ? lists(form, name) : value,
      `qs: ${name}`,
    );
  }
  return true;
}

function isInList(name: string): boolean {
  return name.includes("[]") && !name.endsWith("[]");
}

/** Members below `a[]` are each an item of its own, of which there is one: the name came once. */
function lists(form: Parameters, name: string): unknown {
  const depth = name.split("[]").length - (name.endsWith("[]") ? 2 : 1);
  let value: unknown = form[name];
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

/** By one that ignores case, splits at `;`, decodes names twice and folds what separates. */
function insensitive(text: string, name: string): string[] {
  const fold = (raw: string): string => {
    const twice = pairsOf(raw.replaceAll("+", "%2B"), /$^/)[0]?.[0] ?? raw;
    return foldCase(twice).trim().replace(/[. ]/g, "_");
  };
  return pairsOf(text, /[&;]/).flatMap(([other, value]) => (fold(other) === fold(name) ? [value] : []));
}

export function fuzz(data: Buffer): void {
  checkJson(data);
  checkParameters(data.toString("latin1"));
}
