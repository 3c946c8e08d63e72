// In charge of: the landing page's style, script and picture. Constants, so that their hashes can stand in its Content-Security-Policy.

/** A mill wheel over water. */
export const landingIcon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48" fill="none" stroke="#2b7a78" stroke-width="3" stroke-linecap="round">' +
  '<circle cx="24" cy="20" r="13"/><circle cx="24" cy="20" r="2.5" fill="#2b7a78"/>' +
  '<path d="M24 3v34M7 20h34M12 8l24 24M36 8L12 32"/><path d="M4 43c4-4 8-4 12 0s8 4 12 0 8-4 12 0 4 2 4 2" stroke="#4aa3a0"/></svg>';

/** Copies what stands in the element that a button names; says so to everybody. */
export const landingScript = `
for (const button of document.querySelectorAll('[data-copy]')) {
  button.addEventListener('click', async () => {
    const source = document.getElementById(button.dataset.copy);
    let copied = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Without HTTPS, and not on this machine, there is no clipboard: select the text for Ctrl+C.
      getSelection().selectAllChildren(source);
      copied = document.execCommand('copy');
    }
    const said = copied ? 'Copied' : 'Selected';
    button.textContent = said;
    document.getElementById('said').textContent = said + '.';
    setTimeout(() => { button.textContent = 'Copy'; }, 1600);
  });
}
`;

export const landingStyle = `
:root {
  color-scheme: light dark;
  --paper: light-dark(#f6f4ee, #12181a);
  --card: light-dark(#fffefa, #1a2225);
  --line: light-dark(#dcd8cb, #2d383b);
  --ink: light-dark(#1d2a2c, #e6ecea);
  --muted: light-dark(#5c6a6b, #97a6a5);
  --water: light-dark(#1f6f6d, #6cc3bd);
  --on-water: light-dark(#ffffff, #0d1a1a);
  --good: light-dark(#2f7d4f, #6fca93);
  --bad: light-dark(#b3372b, #ff8f80);
  --code: light-dark(#20302f, #0c1213);
  --on-code: #dcebe8;
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 46rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif;
}
header { display: flex; gap: 1.1rem; align-items: center; margin-bottom: 1.75rem; }
h1 { font-size: clamp(1.6rem, 6vw, 2.2rem); line-height: 1.15; letter-spacing: -.02em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .6rem; }
p { margin: .5rem 0; }
.lead { margin: .15rem 0 0; color: var(--muted); font-size: 1.1rem; }
.mark svg { display: block; width: 3.75rem; height: 3.75rem; }
.muted { color: var(--muted); font-size: .9rem; }
section { margin-top: 2.25rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace; font-size: .88em; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr)); gap: 1px; margin: 0; background: var(--line); border: 1px solid var(--line); border-radius: .75rem; overflow: hidden; }
.facts div { background: var(--card); padding: .75rem 1rem; }
dt { color: var(--muted); font-size: .82rem; }
dd { margin: 0; }
.facts dd { font-weight: 600; }
.facts .muted { font-weight: 400; }
.example { display: flex; justify-content: space-between; align-items: center; gap: 1rem; margin-top: 1rem; padding: .9rem 1.1rem; border-radius: .75rem; background: var(--water); color: var(--on-water); text-decoration: none; }
.example strong { display: block; }
.example .muted { color: inherit; opacity: .85; }
.arrow { font-size: 1.4rem; transition: transform .15s; }
.example:hover .arrow { transform: translateX(.25rem); }
.code { position: relative; margin: .5rem 0 1rem; }
pre { margin: 0; padding: 1rem 1.1rem; border-radius: .75rem; background: var(--code); color: var(--on-code); overflow-x: auto; line-height: 1.5; }
pre code { font-size: 1em; }
time { white-space: nowrap; }
.code button { position: absolute; top: .55rem; right: .55rem; background: #33504f; color: #fff; border-color: transparent; }
button { font: inherit; font-size: .82rem; padding: .2rem .65rem; min-height: 1.9rem; border-radius: .5rem; border: 1px solid var(--line); background: var(--card); color: var(--ink); cursor: pointer; }
button:hover { border-color: var(--water); }
:focus-visible { outline: 2px solid var(--water); outline-offset: 2px; }
.note { padding: .6rem .9rem; border-left: 3px solid var(--water); background: var(--card); }
ul { list-style: none; margin: 0; padding: 0; }
.services li { display: grid; grid-template-columns: auto 7.5rem 1fr auto; gap: .25rem .75rem; align-items: baseline; padding: .6rem 0; border-top: 1px solid var(--line); }
.services li:last-child { border-bottom: 1px solid var(--line); }
.services code { overflow-wrap: anywhere; color: var(--muted); }
.name { font-weight: 600; }
.dot { width: .6rem; height: .6rem; border-radius: 50%; background: var(--good); }
.bad .dot { background: var(--bad); border-radius: 0; }
.health { color: var(--good); font-size: .9rem; }
.bad .health { color: var(--bad); }
.values { margin: 0; }
.values div { padding: .5rem 0; border-top: 1px solid var(--line); }
.values dd { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
.values code { overflow-wrap: anywhere; }
.docs li { padding: .2rem 0; }
.docs code { color: var(--muted); overflow-wrap: anywhere; }
a { color: var(--water); }
.said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.quiet { min-height: 70vh; display: grid; place-content: center; justify-items: center; }
@media (max-width: 34rem) {
  .services li { grid-template-columns: auto 1fr; }
  .services code, .health { grid-column: 2; }
  .code pre { padding-top: 2.75rem; }
}
@media (prefers-reduced-motion: reduce) { .arrow { transition: none; } }
`;
