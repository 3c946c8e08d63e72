// In charge of: where a user keeps what is made once for all projects.
import { homedir } from 'node:os';
import { join } from 'node:path';

export function userCacheFolder(): string {
  return join(homedir(), '.cache', 'millrace');
}

/** Templates of throw-away databases. */
export function templatesFolder(): string {
  return join(userCacheFolder(), 'templates');
}
