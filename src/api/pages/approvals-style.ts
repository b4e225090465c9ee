import { COLOURS } from "./page-frame.ts";

/** The style sheet of the pages on approvals: readable at 320 px, in light and dark, with a visible focus. */
export const APPROVALS_STYLE = `${COLOURS}
:root { --tint: light-dark(#eef2f8, #1f2a3b); --warn: light-dark(#8a4b00, #f5c26b); --warn-ground: light-dark(#fff6e5, #33270f); }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0 auto; max-width: 50rem; padding: 0 1rem 5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
a { color: var(--key); }
:focus-visible { outline: 3px solid var(--key); outline-offset: 2px; border-radius: .25rem; }
main:focus { outline: none; }
.quiet { color: var(--quiet); font-size: .9rem; }
p { margin: .25rem 0; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: .5rem 0; text-wrap: balance; }
h2 { font-size: 1rem; margin: 0 0 .75rem; }
h3 { font-size: .9rem; color: var(--quiet); margin: 1.25rem 0 .5rem; }
bdi, code { font-weight: inherit; }
code, pre, .mono { font-family: ui-monospace, "SF Mono", Menlo, monospace; font-size: .875em; }

body > header { display: flex; align-items: center; flex-wrap: wrap; gap: .25rem 1rem; padding: 1rem 0; }
#home { display: flex; align-items: center; gap: .5rem; color: inherit; font-weight: 700; text-decoration: none; }
#home svg { width: 1.5rem; height: 1.5rem; color: var(--key); }
#live { margin: 0 auto 0 0; }
#live::before { content: ""; display: inline-block; width: .5rem; height: .5rem; border-radius: 50%; margin-right: .4rem; background: var(--line); }
#live:empty::before { content: none; }
#live[data-kind="open"]::before { background: var(--good); }
#who { font-size: .9rem; }

section, .card { background: var(--card); border: 1px solid var(--rule); border-radius: .75rem; padding: 1.25rem; margin: 1rem 0; }
.head { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem; }
.chip { display: inline-block; font-size: .8rem; font-weight: 600; padding: .1rem .6rem; border-radius: 1rem; background: var(--tint); color: var(--quiet); white-space: nowrap; }
.chip[data-kind="pending"] { background: var(--warn-ground); color: var(--warn); }
.chip[data-kind="approved"], .chip[data-kind="consumed"], .chip[data-kind="trusted"] { color: var(--good); }
.chip[data-kind="denied"], .chip[data-kind="critical"], .chip[data-kind="untrusted"] { color: var(--bad); }
.chip[data-kind="sensitive"] { color: var(--warn); }

ul.requests { list-style: none; margin: 0; padding: 0; }
ul.requests li { border-top: 1px solid var(--rule); }
ul.requests li:first-child { border-top: 0; }
ul.requests a { display: block; padding: .75rem .25rem; color: inherit; text-decoration: none; }
ul.requests a:hover strong { text-decoration: underline; }
ul.requests strong { color: var(--key); margin-right: .5rem; }

dl { display: grid; grid-template-columns: minmax(7rem, 11rem) minmax(0, 1fr); gap: .35rem 1rem; margin: 0; }
dt { color: var(--quiet); font-size: .9rem; }
dd { margin: 0; min-width: 0; }
dd ul { margin: 0; padding: 0; list-style: none; }
dl.picked { background: var(--tint); border-radius: .5rem; padding: .75rem 1rem; margin: .75rem 0; }
dl.picked dd { font-weight: 600; }
dd code, td code { white-space: pre-wrap; }
.note { display: block; font-size: .85rem; color: var(--warn); font-weight: 400; }
.url { background: var(--tint); border-radius: .5rem; padding: .6rem .8rem; margin: .75rem 0; }
.url b { color: var(--key); margin-right: .5rem; }
details { border-top: 1px solid var(--rule); margin-top: 1rem; padding-top: .75rem; }
summary { cursor: pointer; color: var(--key); font-weight: 600; font-size: .9rem; }
details > :not(summary) { margin-top: .75rem; }
pre { margin: 0; white-space: pre-wrap; background: var(--tint); border-radius: .5rem; padding: .75rem; max-height: 30rem; overflow: auto; }

label { display: block; font-weight: 600; margin: .75rem 0 .25rem; }
fieldset { border: 0; padding: 0; margin: .75rem 0; min-width: 0; }
legend { font-weight: 600; padding: 0; }
fieldset label { font-weight: 400; margin: .25rem 0; display: flex; gap: .5rem; align-items: baseline; }
input:not([type="checkbox"]), textarea {
  width: 100%; font: inherit; color: inherit; background: transparent; padding: .55rem .7rem;
  border: 1px solid var(--line); border-radius: .5rem;
}
textarea { min-height: 4.5rem; resize: vertical; }
[aria-invalid="true"] { border-color: var(--bad) !important; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1rem; }
button, .button {
  font: inherit; font-weight: 600; min-height: 2.75rem; padding: .55rem 1.25rem; border-radius: .5rem; cursor: pointer;
  flex: 1 1 8rem; text-align: center; text-decoration: none;
  color: var(--on-key); background: var(--key); border: 1px solid var(--key);
}
button.deny { color: var(--bad); background: transparent; border-color: var(--bad); }
button.second { color: var(--key); background: transparent; }
button:disabled { opacity: .55; cursor: progress; }
.hash { font-size: .78rem; }
.alert { color: var(--bad); font-weight: 600; }
.hint { background: var(--warn-ground); color: var(--warn); border-radius: .5rem; padding: .6rem .8rem; margin-top: .75rem; }
.hint a { color: inherit; }

#status {
  position: fixed; left: 50%; bottom: 1rem; transform: translateX(-50%); width: max-content; max-width: calc(100% - 2rem);
  margin: 0; padding: .6rem 1rem; border-radius: .5rem; background: var(--ink); color: var(--paper); box-shadow: 0 4px 16px #0005;
}
#status:empty { padding: 0; background: none; box-shadow: none; }
#status[data-kind="heard"] { clip-path: inset(50%); }
#status[data-kind="failed"] { background: light-dark(#a8201a, #ffb4ad); color: light-dark(#fff, #3b0906); }
#status[data-kind="done"] { background: light-dark(#146c3c, #7fd8a4); color: light-dark(#fff, #062414); }

@media (max-width: 36rem) {
  body { padding: 0 .75rem 6rem; }
  section, .card { padding: 1rem; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  dd { margin-bottom: .5rem; }
}
`;
