// In charge of: the settings of outgoing requests.

import { parseNetwork } from '../../base/address-ranges.ts';
import { parsed } from '../../base/settings.ts';

export const egressSettings = {
  allow: parsed<readonly string[]>(
    {
      key: 'egress.allow',
      env: ['MILLRACE_EGRESS_ALLOW'],
      default: [],
      live: true,
      sentence:
        'Networks and addresses beside the public Internet that the program may connect to, such as `10.0.0.0/8`. Loopback, private, link-local and metadata addresses are refused otherwise, also when a name or a redirect leads to them.',
    },
    'a list of networks or addresses such as "10.0.0.0/8"',
    (raw) => {
      const words = Array.isArray(raw)
        ? raw
        : typeof raw === 'string'
          ? raw.split(',').filter((word) => word.trim() !== '')
          : undefined;
      return words?.every((word) => typeof word === 'string' && parseNetwork(word.trim()) !== undefined)
        ? words.map((word: string) => word.trim())
        : undefined;
    },
  ),
};
