// In charge of: whose eyes the page looks through, and the supabase-js client for them.

/**
 * The neighbours in seed.sql. Visitors may not read `profiles`, so the switch has to know them by itself.
 * @type {readonly { id: string, name: string, email: string, note: string }[]}
 */
export const people = [
  person('5df4d32d-d327-4996-8363-37c90683ea27', 'Mara', 'keeps the Linden Street Shed'),
  person('bdb3cff8-5d76-4226-a768-94eb34b435b1', 'Jonas', 'is a member of Linden Street and Canal House'),
  person('4c903a1b-27ac-4536-b8c0-be254b450003', 'Priya', 'keeps Canal House'),
  person(
    '9505f7f0-65a1-47bc-bb5c-8897de983f5b',
    'Tomás',
    'keeps Harbour Yard and is a member of Linden Street',
    'tomas',
  ),
  person('501bbd84-f4e5-4c3f-a69b-7ca2b719048d', 'Wen', 'is a member of Canal House'),
  person('51f4f29c-178e-47f5-9777-badbc5485663', 'Nell', 'moved here yesterday and has joined no shed yet'),
];

function person(id, name, note, address = name.toLowerCase()) {
  return { id, name, email: `${address}@example.com`, note };
}

/** Where the API is, and with which key; the program that serves the page says so. */
export async function loadConfig() {
  const response = await fetch('./config.json');
  if (!response.ok) throw new Error(`config.json was answered with ${response.status}`);
  const config = await response.json();
  return { ...config, url: config.url ?? window.location.origin };
}

/**
 * A client that is nobody (`person` undefined: the publishable key, the role `anon`) or somebody.
 * `onRequest` hears of every request and its status; 0 when there was no answer.
 */
export function openClient(config, person, onRequest) {
  return window.supabase.createClient(config.url, config.publishableKey, {
    accessToken: person ? tokenSource(config, person) : async () => null,
    global: { fetch: (input, init) => fetchAndTell(input, init, onRequest) },
  });
}

async function fetchAndTell(input, init, onRequest) {
  const started = performance.now();
  let status = 0;
  try {
    const response = await fetch(input, init);
    status = response.status;
    return response;
  } finally {
    const url = new URL(input instanceof Request ? input.url : input);
    onRequest({
      method: init?.method ?? 'GET',
      path: decodeURIComponent(url.pathname + url.search.replaceAll('+', ' ')),
      status,
      tookMs: Math.round(performance.now() - started),
    });
  }
}

/** Signs the neighbour in with the password that seed.sql gives everybody; supabase-js refreshes the token before it runs out. */
function tokenSource(config, person) {
  const { auth } = window.supabase.createClient(config.url, config.publishableKey, {
    auth: { persistSession: false, storageKey: `eyes-of-${person.id}` },
  });
  // A promise, so that requests at the same time wait for the same sign-in.
  const signedIn = auth.signInWithPassword({ email: person.email, password: 'tool-library' });
  return async () => {
    const { error } = await signedIn;
    if (error) throw error;
    const { data } = await auth.getSession();
    return data.session?.access_token ?? null;
  };
}
