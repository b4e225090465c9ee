import type { ScopeValue } from "../../src/permissions/constraint-values.ts";
import type { Approval } from "./api.ts";
import { code, el } from "./elements.ts";
import { folded } from "./fields.ts";
import { wordsOf } from "./permission-facts.ts";

/** The fields by which an approver grants less of a permission. Read only while no field in them is `:invalid`. */
export interface Narrowing {
  readonly element: HTMLElement;
  /** What is to be granted instead of what stands; null: nothing was changed. */
  read(): Readonly<Record<string, unknown>> | null;
}

interface Control {
  readonly element: HTMLElement;
  /** undefined: it stands as it was. */
  read(): ScopeValue | undefined;
}

/** Null for what can only be approved as it was asked for. */
export function narrowing({ permission, granted: left }: Approval): Narrowing | null {
  if (permission === null) return null;
  const standing = left ?? {};
  const scope = Object.entries({ ...permission.scope, ...standing.scope }).flatMap(([name, value]) => {
    const control = controlFor(name, value);
    return control === null ? [] : [[name, control] as const];
  });
  const uses = numberControl("uses", standing.max_uses ?? permission.max_uses, { min: "1", step: "1" });
  const lives = standing.ttl_seconds ?? permission.ttl_seconds;
  const seconds = numberControl("seconds that its token lives", lives, { min: "1", step: "1" });
  return {
    element: folded(
      "Grant less than this",
      ...[...scope.map(([, one]) => one), uses, seconds].map(({ element }) => element),
    ),
    read() {
      const less = scope.flatMap(([name, control]) => {
        const value = control.read();
        return value === undefined ? [] : [[name, value] as const];
      });
      const [count, ttl] = [uses.read(), seconds.read()];
      const granted = {
        ...(less.length === 0 ? {} : { scope: Object.fromEntries(less) }),
        ...(count === undefined ? {} : { max_uses: count }),
        ...(ttl === undefined ? {} : { ttl: `${String(ttl)}s` }),
      };
      return Object.keys(granted).length === 0 ? null : granted;
    },
  };
}

/** Numbers can be made smaller, lists shorter; of a text there is no less. */
function controlFor(name: string, value: ScopeValue): Control | null {
  if (typeof value === "number") return numberControl(wordsOf(name), value, { min: "0", step: "any" });
  return typeof value === "string" ? null : listControl(wordsOf(name), value);
}

function numberControl(name: string, value: number, bounds: Readonly<Record<string, string>>): Control {
  const input = el("input", {
    type: "number",
    inputmode: "decimal",
    required: true,
    max: String(value),
    ...bounds,
  });
  input.value = String(value);
  return {
    element: labelled(name, input),
    read: () => (Number(input.value) === value ? undefined : Number(input.value)),
  };
}

function listControl(name: string, values: readonly string[]): Control {
  const boxes = values.map((value) => {
    const box = el("input", { type: "checkbox" });
    box.checked = true;
    return { value, box };
  });
  return {
    element: el(
      "fieldset",
      {},
      el("legend", {}, name),
      ...boxes.map(({ value, box }) => el("label", {}, box, code(value))),
    ),
    read() {
      const kept = boxes.filter(({ box }) => box.checked).map(({ value }) => value);
      return kept.length === values.length ? undefined : kept;
    },
  };
}

function labelled(name: string, input: HTMLInputElement): HTMLElement {
  input.id = `less-${name.replaceAll(/[^a-z]+/g, "-")}`;
  return el("div", {}, el("label", { for: input.id }, `At most: ${name}`), input);
}
