// In charge of: that a file is shown to clamd before its row is written. It is read where it is kept, so that it is looked at whole, however it came: in one
// stream, in a resumable upload's stretches or in S3's parts.
import { errorMessage } from '../../../base/errors.ts';
import type { Observe } from '../../../base/observe.ts';
import type { Live } from '../../../engine/settings/live.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { StorageSettings } from '../settings.ts';
import { openTurns } from '../turns.ts';
import { NoVerdict, scanBytes } from './clamd.ts';
import { parseClamdAddress } from './clamd-address.ts';
import { notScanned, tooLargeToScan, tooManyScans, virusFound } from './faults.ts';

export interface Scanner {
  isOn(): boolean;
  /**
   * Looks at a file where that is wanted. `place` is for the log.
   * @throws VirusFound; ScanUnavailable, EntityTooLarge where what cannot be looked at is refused; SlowDown
   */
  check(
    version: string,
    sizeBytes: number,
    place: { readonly bucket: string; readonly name: string },
  ): Promise<void>;
}

type Config = Live<
  Pick<
    StorageSettings,
    'scanClamd' | 'scanUnscanned' | 'scanMaxBytes' | 'scanTimeoutSeconds' | 'scanMaxParallel'
  >
>;

/** As many wait for each that is being looked at. */
const waitingPerTurn = 10;

export function openScanner(blobs: Pick<Blobs, 'read'>, config: Config, observe: Observe): Scanner {
  // However many come, none is let through unseen for that.
  const turns = openTurns(
    () => {
      const { scanMaxParallel, scanTimeoutSeconds } = config.now();
      return {
        maxParallel: scanMaxParallel,
        maxWaiting: scanMaxParallel * waitingPerTurn,
        maxWaitSeconds: scanTimeoutSeconds,
      };
    },
    { full: tooManyScans, late: tooManyScans },
  );

  return {
    isOn: () => config.now().scanClamd !== '',
    async check(version, sizeBytes, place) {
      const { scanClamd, scanUnscanned, scanMaxBytes, scanTimeoutSeconds } = config.now();
      const address = parseClamdAddress(scanClamd);
      if (address === undefined) return;
      try {
        if (sizeBytes > scanMaxBytes)
          throw new NoVerdict('large', `${sizeBytes} bytes are more than storage.scan.max_size`);
        const verdict = await turns.run(async () =>
          scanBytes(address, await blobs.read(version), scanTimeoutSeconds * 1000),
        );
        if (verdict.kind === 'clean') return;
        observe({ kind: 'storage.virus_found', level: 'warn', ...place, virus: verdict.name });
        throw virusFound(verdict.name);
      } catch (error) {
        if (!(error instanceof NoVerdict)) throw error;
        const { reason } = error;
        const isRefused = scanUnscanned === 'refuse';
        observe({
          kind: 'storage.not_scanned',
          level: 'warn',
          ...place,
          reason,
          message: errorMessage(error),
          became: isRefused ? 'refused' : 'accepted',
        });
        if (isRefused) throw reason === 'large' ? tooLargeToScan() : notScanned(error);
      }
    },
  };
}

/** The largest file that is let in, where what cannot be looked at is not. */
export function maxScannedBytes({
  scanClamd,
  scanUnscanned,
  scanMaxBytes,
}: Pick<StorageSettings, 'scanClamd' | 'scanUnscanned' | 'scanMaxBytes'>): number {
  return scanClamd !== '' && scanUnscanned === 'refuse' ? scanMaxBytes : Number.POSITIVE_INFINITY;
}
