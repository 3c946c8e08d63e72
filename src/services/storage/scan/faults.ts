// In charge of: what a client hears when a file was looked at for viruses, or could not be. Upstream has no such thing; S3 has no codes for it.
import { entityTooLarge, StorageFault } from '../errors.ts';

/** Source for the status: RFC 9110 section 15.5.21: understood, and still not to be processed; clients do not try again. */
export const virusFound = (virus: string) =>
  new StorageFault({
    status: 422,
    code: 'VirusFound',
    error: 'Virus found',
    message: `The file was refused: it contains "${virus}".`,
  });

export const isVirusFound = (error: unknown): boolean =>
  error instanceof StorageFault && error.code === 'VirusFound';

export const notScanned = (cause: unknown) =>
  new StorageFault(
    {
      status: 503,
      code: 'ScanUnavailable',
      error: 'Scan unavailable',
      message: 'The file could not be checked for viruses, so it was not kept. Try again in a moment.',
      wireStatus: 503,
      headers: { 'retry-after': '30' },
    },
    cause,
  );

export const tooLargeToScan = () => entityTooLarge('object', 'the size that can be checked for viruses');

export const tooManyScans = () =>
  new StorageFault({
    status: 503,
    code: 'SlowDown',
    message: 'This server checks as many files for viruses as it can at once. Try again in a moment.',
    wireStatus: 503,
    headers: { 'retry-after': '5' },
  });
