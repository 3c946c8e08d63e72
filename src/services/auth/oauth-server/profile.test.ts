// In charge of: which tokens of our own are id_tokens, which open nothing.
import { describe, expect, it } from 'vitest';
import { isIdToken } from './profile.ts';

const facts = { sub: 'ada', aud: 'app', client_id: 'app', auth_time: 1_700_000_000 };

describe('an id_token', () => {
  it.each<[string, boolean, object]>([
    ['names its application as audience and says when its user signed in', true, facts],
    ['is no access token of that application', false, { ...facts, aud: 'authenticated', session_id: 'x' }],
    ['is of no role, which a token of a project’s own making is', false, { ...facts, role: 'authenticated' }],
    ['is of no session', false, { ...facts, session_id: 'x' }],
    ['is for one application', false, { ...facts, client_id: undefined }],
    ['says when', false, { ...facts, auth_time: undefined }],
    ['is no key', false, { role: 'anon', iss: 'supabase' }],
    ['is no key without a role', false, { aud: '', client_id: '', auth_time: 1 }],
  ])('%s', (_, expected, claims) => {
    expect(isIdToken({ ...claims })).toBe(expected);
  });
});
