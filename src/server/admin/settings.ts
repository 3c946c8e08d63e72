// In charge of: the settings of the operator plane itself.
import { flag } from '../../base/settings.ts';

export const adminSettings = {
  remoteOperators: flag({
    key: 'gateway.remote_operators',
    env: ['MILLRACE_REMOTE_OPERATORS'],
    default: true,
    live: true,
    sentence:
      'Answer /admin/v1 on the HTTP port to whoever has an operator token. Off: the local socket is the only way in.',
  }),
} as const;
