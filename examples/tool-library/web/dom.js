// In charge of: making elements, and saying what went wrong so that a person can read it.

/** An element; text is always text, never HTML. `on…` properties are listeners, `undefined` and `false` children are left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, '');
    else element.setAttribute(name, value);
  }
  element.append(
    ...children.flat().filter((child) => child !== undefined && child !== false && child !== null),
  );
  return element;
}

/** The drawing of a kind of tool, from the symbols in index.html. */
export function icon(kind) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#${kind}`);
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** An error of the API: what it means, then what the database said, word for word. */
export function errorNotice(what, error) {
  const said = [
    ['Code', error.code],
    ['Details', error.details],
    ['Hint', error.hint],
  ].filter(([, text]) => text);
  return el(
    'div',
    { class: 'notice bad' },
    el('p', {}, el('strong', {}, what), ' ', meaningOf(error)),
    el('p', { class: 'said' }, error.message),
    said.length > 0 &&
      el(
        'dl',
        {},
        said.map(([name, text]) => el('div', {}, el('dt', {}, name), el('dd', {}, text))),
      ),
    dismissButton(),
  );
}

export function goodNotice(text) {
  return el('div', { class: 'notice good' }, el('p', {}, text), dismissButton());
}

function dismissButton() {
  const dismiss = (event) => event.currentTarget.closest('.notice').remove();
  return el('button', { type: 'button', class: 'dismiss', 'aria-label': 'Dismiss', onclick: dismiss }, '×');
}

function meaningOf(error) {
  const meaning = meanings[error.code];
  if (meaning) return meaning;
  if (/fetch|network/i.test(error.message) && !error.code)
    return 'The API did not answer. Is the program still running?';
  return 'The API answered:';
}

const meanings = {
  23505: 'There is one like it already, and the table allows only one.',
  23514: 'A check on the table says no.',
  42501: 'The database refused: a policy or a missing grant says no, and nothing was written.',
  P0001: 'A rule of the library says no.',
  PGRST116: 'It is not there, or you may not see it.',
  PGRST301: 'The token was not accepted.',
};

export function formatDay(day) {
  return new Date(`${day.slice(0, 10)}T12:00`).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
  });
}

export function formatMoney(cents) {
  return cents === 0 ? 'no deposit' : `€${(cents / 100).toFixed(cents % 100 === 0 ? 0 : 2)} deposit`;
}

export function formatStars(stars) {
  return '★'.repeat(Math.round(stars)) + '☆'.repeat(5 - Math.round(stars));
}
