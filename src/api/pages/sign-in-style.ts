import { COLOURS } from "./page-frame.ts";

/** The sign-in page's style sheet: readable at 360 px, in light and dark, with a visible focus. */
export const SIGN_IN_STYLE = `${COLOURS}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
}
main {
  width: 100%; max-width: 26rem; background: var(--card); border: 1px solid var(--rule);
  border-radius: .75rem; padding: 1.5rem; overflow-wrap: anywhere;
}
header { display: flex; align-items: center; gap: .6rem; margin-bottom: 1.25rem; }
header svg { width: 1.75rem; height: 1.75rem; color: var(--key); flex: none; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 .25rem; }
p { margin: .25rem 0 1rem; }
.quiet { color: var(--quiet); font-size: .9rem; }
label { display: block; font-weight: 600; margin: .75rem 0 .25rem; }
input {
  width: 100%; font: inherit; color: inherit; background: transparent; padding: .55rem .7rem;
  border: 1px solid var(--line); border-radius: .5rem;
}
#code { font-family: ui-monospace, monospace; font-size: .9rem; }
button {
  width: 100%; font: inherit; font-weight: 600; min-height: 2.75rem; padding: .55rem 1rem; margin-top: 1rem;
  color: var(--on-key); background: var(--key); border: 1px solid var(--key); border-radius: .5rem; cursor: pointer;
}
button.second { color: var(--key); background: transparent; }
[data-busy] button { opacity: .6; cursor: progress; }
:focus-visible { outline: 3px solid var(--key); outline-offset: 2px; }
details { margin-top: 1.25rem; border-top: 1px solid var(--rule); padding-top: 1rem; }
summary { cursor: pointer; font-weight: 600; color: var(--key); }
ul { list-style: none; margin: .5rem 0 0; padding: 0; }
li { padding: .5rem 0; border-top: 1px solid var(--rule); color: var(--quiet); font-size: .9rem; }
li strong { display: block; color: var(--ink); font-size: 1rem; }
#status { min-height: 1.5rem; margin: 1rem 0 0; }
#status[data-kind="failed"] { color: var(--bad); }
#status[data-kind="done"] { color: var(--good); }
[hidden] { display: none; }
`;
