// In charge of: `millrace import --storage`: the files of a project whose rows are here, from its storage API.
import { openEgress } from '../../../engine/egress/egress.ts';
import { markStore } from '../../../services/storage/blobs/mark.ts';
import { isEncrypted } from '../../../services/storage/bucket-settings.ts';
import { storage as service } from '../../../services/storage/service.ts';
import { parallelFiles } from '../../../services/storage/transfer/each-object.ts';
import {
  type ImportedFiles,
  importFiles,
  type Trouble,
} from '../../../services/storage/transfer/import-files.ts';
import { openOtherProject } from '../../../services/storage/transfer/other-project.ts';
import type { Prepared } from '../../prepare.ts';
import { withProjectFiles } from '../../project-files.ts';
import { withDatabase } from '../with-database.ts';

export interface FilesReport extends ImportedFiles {
  readonly troubles: readonly Trouble[];
  readonly isDone: boolean;
}

const progressMs = 5_000;
/** How many troubles are said; the figures count them all. */
const maxSaid = 1_000;

export async function importFilesFrom(prepared: Prepared, url: string, key: string): Promise<FilesReport> {
  const config = prepared.settings.of(service.settings);
  return withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, async ({ db, blobs, newBlobId, storeName, stateFolder }) => {
      const { observe, signal, progress } = opening;
      const sharesDatabase = shaped.server.engine === 'external';
      await markStore({ db, blobs, storeName, home: stateFolder, sharesDatabase, observe });
      const egress = openEgress({ allow: () => [], observe, now: Date.now });
      const source = openOtherProject(egress, url, key, parallelFiles);
      const troubles: Trouble[] = [];
      let said = Date.now();
      try {
        const report = await importFiles({
          db,
          blobs,
          newBlobId,
          isEncrypted: (bucket) => isEncrypted(config.now(), bucket),
          source,
          signal,
          onFile(so) {
            if (Date.now() - said < progressMs) return;
            said = Date.now();
            progress(`${so.copied} files with ${so.bytes} bytes copied so far, ${so.there} were here.`);
          },
          onTrouble(trouble) {
            if (troubles.length < maxSaid) troubles.push(trouble);
          },
        });
        return { ...report, troubles, isDone: report.failed + report.changed === 0 };
      } finally {
        source.close();
        await egress.close();
      }
    }),
  );
}

export function renderFiles(report: FilesReport): string {
  const { files, copied, bytes, digests, there, missing, changed, failed, troubles } = report;
  const all = missing + changed + failed;
  return [
    ...troubles.map(({ kind, place, reason }) => `${kind}  ${place}: ${reason}`),
    ...(all > troubles.length ? [`… and ${all - troubles.length} more.`] : []),
    `${files} files: ${copied} with ${bytes} bytes copied, ${there} here before. Of those copied the MD5 of ${digests} is what their rows say; the size and the tag of all others.`,
    ...(missing > 0 ? [`- ${missing} have no bytes at the source either.`] : []),
    ...(changed > 0
      ? [
          `- ${changed} were overwritten there since their rows came; import the rows again, or upload them here.`,
        ]
      : []),
    ...(failed > 0 ? [`- ${failed} failed: run it again, and it goes on with them.`] : []),
  ].join('\n');
}
