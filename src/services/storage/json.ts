// In charge of: an answer in JSON.
import type { Answer } from '../../engine/service/http.ts';

export function json(body: unknown): Answer {
  return {
    status: 200,
    headers: [['content-type', 'application/json; charset=utf-8']],
    body: JSON.stringify(body),
  };
}

/** Source: supabase/storage src/http/routes-helper.ts `createResponse`. */
export const messageAnswer = (message: string) => json({ message });
