// In charge of: the settings of looking for viruses.
import { parseSizeBytes } from '../../../base/bytes.ts';
import { oneOf, parsed, wholeNumber } from '../../../base/settings.ts';
import { parseClamdAddress } from './clamd-address.ts';

const live = true;

export const scanSettings = {
  scanClamd: parsed(
    {
      key: 'storage.scan.clamd',
      env: ['MILLRACE_STORAGE_SCAN_CLAMD'],
      default: '',
      live,
      sentence:
        'Where ClamAV’s clamd listens, which looks at each file before it is there: `unix:/run/clamav/clamd.ctl` or `tcp://127.0.0.1:3310`. Empty: nobody looks.',
    },
    'an address such as "unix:/run/clamav/clamd.ctl" or "tcp://127.0.0.1:3310"',
    (raw) =>
      typeof raw === 'string' && (raw === '' || parseClamdAddress(raw) !== undefined) ? raw : undefined,
  ),
  scanUnscanned: oneOf(
    {
      key: 'storage.scan.unscanned',
      env: ['MILLRACE_STORAGE_SCAN_UNSCANNED'],
      default: 'refuse',
      live,
      sentence:
        'What becomes of a file that clamd cannot look at, because it does not answer, takes too long, or takes no file so large: `refuse`, or `accept` with a line in the log.',
    },
    ['refuse', 'accept'],
  ),
  scanMaxBytes: parsed(
    {
      key: 'storage.scan.max_size',
      env: ['MILLRACE_STORAGE_SCAN_MAX_SIZE'],
      // Source: clamd.conf(5) of ClamAV 1.4.
      default: 100 * 1024 * 1024,
      unit: 'bytes',
      live,
      sentence: 'The largest file that is shown to clamd: no more than its `StreamMaxLength`.',
    },
    'a number of bytes, or a size such as "100MiB"',
    (raw) => parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw),
  ),
  scanTimeoutSeconds: wholeNumber({
    key: 'storage.scan.timeout',
    env: ['MILLRACE_STORAGE_SCAN_TIMEOUT'],
    default: 120,
    min: 1,
    unit: 'seconds',
    live,
    sentence: 'How long clamd may take for one file, and how long a file waits for its turn.',
  }),
  scanMaxParallel: wholeNumber({
    key: 'storage.scan.max_parallel',
    env: ['MILLRACE_STORAGE_SCAN_MAX_PARALLEL'],
    // Source: clamd.conf(5), `MaxThreads`.
    default: 10,
    min: 1,
    unit: 'files',
    live,
    sentence:
      'How many files this process shows to clamd at once; ten times as many wait, and more hear 503.',
  }),
} as const;
