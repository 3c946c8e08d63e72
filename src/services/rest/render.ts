// In charge of: an answer as a Response.
import type { Answer } from './respond.ts';

export function render({ status, headers, body }: Answer): Response {
  // A plain object is the fast way through Hono's adapter; only a header given twice needs the other.
  const plain: Record<string, string> = {};
  let repeated = false;
  for (const [name, value] of headers) {
    if (name in plain) repeated = true;
    plain[name] = value;
  }
  const withHeaders = repeated ? new Headers(headers.map(([name, value]) => [name, value])) : plain;
  // Sound: a Buffer is a body; its type only differs from the one that fetch names.
  return new Response(body as string | null, { status, headers: withHeaders });
}
