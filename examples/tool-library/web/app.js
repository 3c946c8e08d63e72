// In charge of: the page. What it shows comes from the API through supabase-js; what may be done, the database decides,
// so every button is offered to everybody and a refusal is shown as it came.
import { el, errorNotice, formatDay, formatMoney, formatStars, goodNotice, icon } from './dom.js';
import { loadConfig, openClient, people } from './session.js';

const pageRows = 12;
const logRows = 20;
const kinds = ['cleaning', 'drilling', 'garden', 'kitchen', 'measuring', 'outdoors', 'painting', 'sawing'];
const byId = (id) => document.getElementById(id);
const filters = byId('filters');
const dialog = byId('tool');

let config;
let client;
let me; // one of `people`, or undefined for nobody
let shown = 0;
let asked = 0;
let listRound = 0;

await start();

async function start() {
  if (!window.supabase)
    return complain(
      'This page needs supabase-js.',
      'It was not found at ./supabase.js. Run `npm install`, then reload.',
    );
  try {
    config = await loadConfig();
  } catch (error) {
    return complain('This page does not know where the API is.', error.message);
  }
  for (const select of [filters.elements.kind, byId('plan').elements.kind]) {
    select.append(...kinds.map((kind) => el('option', { value: kind }, kind)));
  }
  const today = new Date();
  byId('plan').elements.first.value = localDay(today, 1);
  byId('plan').elements.last.value = localDay(today, 3);
  renderPeople();
  listen();
  await become(people.find(({ name }) => `#${name}` === decodeURIComponent(location.hash)));
}

function listen() {
  filters.addEventListener('input', () => void listTools());
  filters.addEventListener('submit', (event) => event.preventDefault());
  byId('more').addEventListener('click', () => void listTools(shown));
  byId('plan').addEventListener('submit', (event) => {
    event.preventDefault();
    void planAhead(new FormData(event.currentTarget));
  });
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) dialog.close();
  });
}

/** Everything is read anew, with the new eyes. */
async function become(person) {
  me = person;
  client = openClient(config, me, logRequest);
  byId('notice').replaceChildren();
  byId('plan-answer').replaceChildren();
  byId('eyes-note').replaceChildren(...eyesNote());
  // So that a reload keeps the eyes.
  history.replaceState(null, '', me ? `#${me.name}` : location.pathname);
  for (const input of byId('people').querySelectorAll('input'))
    input.checked = input.value === (me?.id ?? '');
  await Promise.all([listTools(), listSheds(), listLoans()]);
}

// ── The shelf: a view, filtered, ordered, counted, in pages ────────────────────────────────────────────────────────

async function listTools(from = 0) {
  const round = ++listRound;
  const { words, kind, shed, order, free } = Object.fromEntries(new FormData(filters));
  let query = client.from('tool_shelf').select('*', { count: 'exact' });
  if (words.trim()) query = query.ilike('name', `%${words.trim().replace(/[\\%_*]/g, '')}%`);
  if (kind) query = query.eq('kind', kind);
  if (shed) query = query.eq('shed_id', shed);
  if (free) query = query.is('due_back', null);
  query = query.order(order, { ascending: order !== 'stars', nullsFirst: false }).order('id');
  byId('tools').setAttribute('aria-busy', 'true');
  const { data, count, error } = await query.range(from, from + pageRows - 1);
  if (round !== listRound) return;
  byId('tools').removeAttribute('aria-busy');
  if (error) return void byId('notice').replaceChildren(errorNotice('The shelf could not be read.', error));
  shown = from + data.length;
  const cards = data.map(toolCard);
  if (from === 0) byId('tools').replaceChildren(...cards);
  else byId('tools').append(...cards);
  byId('count').textContent = count === 0 ? '' : `${shown} of ${count} tools`;
  if (count === 0)
    byId('tools').replaceChildren(
      el('li', { class: 'empty' }, 'No tool fits. Try fewer words, or another shed.'),
    );
  byId('more').hidden = shown >= count;
}

function toolCard(tool) {
  return el(
    'li',
    { class: 'card' },
    el(
      'button',
      { type: 'button', class: 'open', onclick: () => void openTool(tool.id) },
      el('span', { class: 'chip' }, icon(tool.kind)),
      el('span', { class: 'name' }, tool.name),
      el('span', { class: 'where' }, tool.shed_name),
      el(
        'span',
        { class: 'tags' },
        tool.condition === 'needs repair'
          ? el('span', { class: 'tag out' }, 'needs repair')
          : el(
              'span',
              { class: tool.due_back ? 'tag out' : 'tag in' },
              tool.due_back ? backText(tool.due_back) : 'free',
            ),
        tool.review_count > 0 && el('span', { class: 'stars' }, `★ ${tool.stars} (${tool.review_count})`),
      ),
    ),
  );
}

// ── One tool: two reads with embedded rows, and three ways to write ────────────────────────────────────────────────

async function openTool(id, notice) {
  const [tool, reviews] = await Promise.all([
    client
      .from('tools')
      .select('*, sheds(name, address, opening_hours), owner:profiles(display_name)')
      .eq('id', id)
      .single(),
    client
      .from('reviews')
      .select('id, stars, body, created_at, author_id, author:profiles(display_name)')
      .eq('tool_id', id)
      .order('created_at', { ascending: false }),
  ]);
  const error = tool.error ?? reviews.error;
  if (error) return void byId('notice').replaceChildren(errorNotice('The tool could not be read.', error));
  byId('notice').replaceChildren();
  renderTool(tool.data, reviews.data);
  if (notice) byId('tool-notice').replaceChildren(notice);
  if (!dialog.open) dialog.showModal();
}

function renderTool(tool, reviews) {
  byId('tool-body').replaceChildren(
    el(
      'button',
      { type: 'button', class: 'dismiss', 'aria-label': 'Close', onclick: () => dialog.close() },
      '×',
    ),
    el(
      'div',
      { class: 'tool-head' },
      el('span', { class: 'chip' }, icon(tool.kind)),
      el('h2', { id: 'tool-name' }, tool.name),
    ),
    el('p', {}, tool.description),
    el(
      'p',
      { class: 'facts' },
      `${tool.condition} · ${formatMoney(tool.deposit_cents)} · ${tool.owner ? `from ${tool.owner.display_name}` : 'from a neighbour'}`,
    ),
    el('p', { class: 'facts' }, `${tool.sheds.name}, ${tool.sheds.address}. ${tool.sheds.opening_hours}.`),
    el('div', { id: 'tool-notice', role: 'alert' }),
    borrowForm(tool),
    el('h3', {}, reviews.length === 0 ? 'No reviews yet' : 'What neighbours say'),
    el(
      'ul',
      { class: 'reviews' },
      reviews.map((review) => reviewItem(tool, review)),
    ),
    reviewForm(tool),
  );
}

function borrowForm(tool) {
  const borrow = async (event) => {
    event.preventDefault();
    const days = Number(new FormData(event.currentTarget).get('days'));
    const { data, error } = await client.rpc('borrow_tool', { tool: tool.id, days });
    if (error) return void byId('tool-notice').replaceChildren(errorNotice('Not borrowed.', error));
    await Promise.all([
      openTool(tool.id, goodNotice(`Yours until ${formatDay(data.until_day)}.`)),
      listTools(),
      listLoans(),
    ]);
  };
  return el(
    'form',
    { class: 'borrow', onsubmit: (event) => void borrow(event) },
    el(
      'label',
      {},
      'for ',
      el('input', { name: 'days', type: 'number', min: '1', max: '99', value: '7', required: true }),
      ' days',
    ),
    el('button', { type: 'submit' }, 'Borrow'),
  );
}

function reviewItem(tool, review) {
  const remove = async () => {
    const { error } = await client.from('reviews').delete().eq('id', review.id);
    await openTool(tool.id, error ? errorNotice('Not deleted.', error) : goodNotice('Your review is gone.'));
    void listTools();
  };
  return el(
    'li',
    {},
    el(
      'p',
      {},
      el(
        'span',
        { class: 'stars', role: 'img', 'aria-label': `${review.stars} of 5 stars` },
        formatStars(review.stars),
      ),
      ' ',
      review.body,
    ),
    el(
      'p',
      { class: 'facts' },
      `${review.author?.display_name ?? 'a neighbour'}, ${formatDay(review.created_at)}`,
      me?.id === review.author_id &&
        el('button', { type: 'button', class: 'link', onclick: () => void remove() }, 'delete'),
    ),
  );
}

function reviewForm(tool) {
  const write = async (event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const review = { tool_id: tool.id, stars: Number(form.get('stars')), body: form.get('body').trim() };
    const { error } = await client.from('reviews').insert(review);
    if (error) return void byId('tool-notice').replaceChildren(errorNotice('Not written.', error));
    await Promise.all([
      openTool(tool.id, goodNotice('Thank you. Your review is on the shelf.')),
      listTools(),
    ]);
  };
  return el(
    'form',
    { class: 'review', onsubmit: (event) => void write(event) },
    el(
      'label',
      { class: 'grow' },
      'Your review',
      el('textarea', { name: 'body', rows: '2', required: true, maxlength: '600' }),
    ),
    el(
      'label',
      {},
      'Stars',
      el(
        'select',
        { name: 'stars' },
        [5, 4, 3, 2, 1].map((stars) => el('option', { value: String(stars) }, formatStars(stars))),
      ),
    ),
    el('button', { type: 'submit' }, 'Write'),
  );
}

// ── At my place: rows that only their borrower and the keepers see ─────────────────────────────────────────────────

async function listLoans() {
  const place = byId('loans');
  if (!me)
    return place.replaceChildren(
      el('p', { class: 'empty' }, 'Visitors have nothing on loan. Choose a neighbour above.'),
    );
  const { data, error } = await client
    .from('loans')
    .select('id, from_day, until_day, tools(id, name)')
    .eq('borrower_id', me.id)
    .is('returned_at', null)
    .order('until_day');
  if (error) return place.replaceChildren(errorNotice('Your loans could not be read.', error));
  if (data.length === 0) return place.replaceChildren(el('p', { class: 'empty' }, 'Nothing at the moment.'));
  place.replaceChildren(el('ul', { class: 'loans' }, data.map(loanItem)));
}

function loanItem(loan) {
  const giveBack = async () => {
    const { error } = await client
      .from('loans')
      .update({ returned_at: new Date().toISOString() })
      .eq('id', loan.id);
    byId('notice').replaceChildren(
      error ? errorNotice('Not returned.', error) : goodNotice(`${loan.tools.name} is back. Thank you.`),
    );
    await Promise.all([listLoans(), listTools()]);
  };
  const today = localDay(new Date());
  const when = loan.from_day > today ? `from ${formatDay(loan.from_day)}` : backText(loan.until_day);
  return el(
    'li',
    {},
    el(
      'button',
      { type: 'button', class: 'link', onclick: () => void openTool(loan.tools.id) },
      loan.tools.name,
    ),
    el('span', { class: loan.until_day < today ? 'tag out' : 'facts' }, when),
    el(
      'button',
      { type: 'button', class: 'quiet', onclick: () => void giveBack() },
      loan.from_day > today ? 'Cancel' : 'Bring back',
    ),
  );
}

// ── Planning ahead: a function with arguments ──────────────────────────────────────────────────────────────────────

async function planAhead(form) {
  const days = { first_day: form.get('first'), last_day: form.get('last') };
  const { data, error } = await client.rpc(
    'free_tools',
    form.get('kind') ? { ...days, of_kind: form.get('kind') } : days,
  );
  const place = byId('plan-answer');
  if (error) return place.replaceChildren(errorNotice('No answer.', error));
  if (data.length === 0)
    return place.replaceChildren(el('p', { class: 'empty' }, 'Nothing is free on all of these days.'));
  const open = (tool) =>
    el('button', { type: 'button', class: 'link', onclick: () => void openTool(tool.id) }, tool.name);
  place.replaceChildren(
    el('p', { class: 'count' }, `${data.length} tools are free.`),
    el(
      'ul',
      { class: 'free' },
      data.map((tool) => el('li', {}, open(tool), el('span', { class: 'facts' }, tool.shed_name))),
    ),
  );
}

// ── Sheds: join and leave ──────────────────────────────────────────────────────────────────────────────────────────

async function listSheds() {
  // Visitors have no right to read memberships at all; asking for them would be refused.
  const members = me ? ', shed_members(profile_id, role)' : '';
  const { data, error } = await client
    .from('sheds')
    .select(`id, name, address, opening_hours${members}`)
    .order('name');
  if (error)
    return byId('sheds').replaceChildren(el('li', {}, errorNotice('The sheds could not be read.', error)));
  byId('sheds').replaceChildren(...data.map(shedItem));
  if (filters.elements.shed.options.length === 1) {
    filters.elements.shed.append(...data.map((shed) => el('option', { value: shed.id }, shed.name)));
  }
}

function shedItem(shed) {
  const mine = shed.shed_members?.find((member) => member.profile_id === me?.id);
  const change = async () => {
    const members = client.from('shed_members');
    const { data, error } = mine
      ? await members.delete().eq('shed_id', shed.id).eq('profile_id', me.id).select()
      : await members.insert({ shed_id: shed.id }).select();
    byId('notice').replaceChildren(membershipNotice(shed, mine, data, error));
    await listSheds();
  };
  return el(
    'li',
    {},
    el('strong', {}, shed.name),
    el('span', { class: 'facts' }, `${shed.address}. ${shed.opening_hours}.`),
    el(
      'span',
      { class: 'membership' },
      mine ? el('span', { class: 'tag in' }, `${mine.role}, one of ${shed.shed_members.length}`) : false,
      el('button', { type: 'button', class: 'quiet', onclick: () => void change() }, mine ? 'Leave' : 'Join'),
    ),
  );
}

function membershipNotice(shed, mine, data, error) {
  if (error) return errorNotice(mine ? 'You have not left.' : 'You have not joined.', error);
  if (!mine) return goodNotice(`Welcome to ${shed.name}.`);
  // A delete that a policy filters is no error: it finds no row.
  if (data.length === 0)
    return errorNotice('You have not left.', {
      message: 'Keepers stay until somebody relieves them; the policy found no row to delete.',
    });
  return goodNotice(`You have left ${shed.name}.`);
}

// ── Whose eyes, and what was asked ─────────────────────────────────────────────────────────────────────────────────

function renderPeople() {
  byId('people').replaceChildren(
    ...[undefined, ...people].map((person) =>
      el(
        'label',
        { class: 'person' },
        el('input', {
          type: 'radio',
          name: 'eyes',
          value: person?.id ?? '',
          onchange: () => void become(person),
        }),
        el('span', {}, person?.name ?? 'nobody'),
      ),
    ),
  );
}

function eyesNote() {
  if (!me) {
    return [
      el('strong', {}, 'A visitor with the publishable key: the role anon.'),
      ' Choose a neighbour, and the page signs in as them: everybody’s password is “tool-library”.',
    ];
  }
  return [
    el('strong', {}, `${me.name} ${me.note}.`),
    ' The page has signed in with their password, as any app would: the role authenticated.',
  ];
}

function logRequest({ method, path, status, tookMs }) {
  const outcome = status === 0 ? 'no answer' : String(status);
  byId('log').prepend(
    el(
      'li',
      { class: status === 0 || status >= 400 ? 'bad' : undefined },
      el('span', { class: 'outcome' }, outcome),
      el('code', {}, `${method} ${path}`),
      el('span', { class: 'facts' }, `as ${me?.name ?? 'nobody'}, ${tookMs} ms`),
    ),
  );
  while (byId('log').children.length > logRows) byId('log').lastElementChild.remove();
  asked += 1;
  byId('log-count').textContent = `(${asked})`;
}

function complain(what, message) {
  byId('notice').replaceChildren(errorNotice(what, { message }));
}

function backText(day) {
  const today = localDay(new Date());
  if (day < today) return `late since ${formatDay(day)}`;
  return day === today ? 'back today' : `back ${formatDay(day)}`;
}

/** The day `plusDays` after `date` as `2026-06-12`, in the reader's own time zone. */
function localDay(date, plusDays = 0) {
  const day = new Date(date.getFullYear(), date.getMonth(), date.getDate() + plusDays, 12);
  return day.toISOString().slice(0, 10);
}
