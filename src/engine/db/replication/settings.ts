// In charge of: the settings of how changes of rows are read.
import { parseSizeBytes } from '../../../base/bytes.ts';
import { parsed } from '../../../base/settings.ts';

export const changeFeedSettings = {
  maxSlotBytes: parsed<number>(
    {
      key: 'realtime.max_slot_wal',
      env: ['MILLRACE_REALTIME_MAX_SLOT_WAL'],
      default: 768 * 1024 * 1024,
      unit: 'bytes',
      live: true,
      sentence:
        'No more of the write-ahead log than this is kept for changes that were not read yet, also where the server itself would keep more. Beyond it the replication slot is made anew, and whoever listens is told that changes may be missing. A server of our own keeps at most 1 GB.',
    },
    'a size such as "768MB"',
    (raw) => {
      const bytes = parseSizeBytes(typeof raw === 'string' ? raw.trim() : raw);
      return bytes !== undefined && bytes > 0 ? bytes : undefined;
    },
  ),
};
