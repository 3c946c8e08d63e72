// In charge of: `millrace export --storage`: the files of this project, to the storage API of another one that has its rows.
import { openEgress } from '../../../engine/egress/egress.ts';
import { parallelFiles } from '../../../services/storage/transfer/each-object.ts';
import {
  type ExportedFiles,
  type ExportTrouble,
  exportFiles,
} from '../../../services/storage/transfer/export-files.ts';
import { openOtherProject } from '../../../services/storage/transfer/other-project.ts';
import type { Prepared } from '../../prepare.ts';
import { withProjectFiles } from '../../project-files.ts';
import { withDatabase } from '../with-database.ts';

export interface FilesReport extends ExportedFiles {
  readonly troubles: readonly ExportTrouble[];
  readonly isDone: boolean;
}

const progressMs = 5_000;
/** How many troubles are said; the figures count them all. */
const maxSaid = 1_000;

export async function exportFilesTo(prepared: Prepared, url: string, key: string): Promise<FilesReport> {
  return withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, async ({ db, blobs }) => {
      const { observe, signal, progress } = opening;
      const egress = openEgress({ allow: () => [], observe, now: Date.now });
      const target = openOtherProject(egress, url, key, parallelFiles);
      const troubles: ExportTrouble[] = [];
      let said = Date.now();
      try {
        const report = await exportFiles({
          db,
          blobs,
          target,
          signal,
          onFile(so) {
            if (Date.now() - said < progressMs) return;
            said = Date.now();
            progress(`${so.copied} files with ${so.bytes} bytes sent so far, ${so.there} were there.`);
          },
          onTrouble(trouble) {
            if (troubles.length < maxSaid) troubles.push(trouble);
          },
        });
        return { ...report, troubles, isDone: report.failed === 0 };
      } finally {
        target.close();
        await egress.close();
      }
    }),
  );
}

export function renderFiles({
  files,
  copied,
  bytes,
  there,
  missing,
  failed,
  troubles,
}: FilesReport): readonly string[] {
  return [
    ...troubles.map(({ kind, place, reason }) => `${kind}  ${place}: ${reason}`),
    ...(missing + failed > troubles.length ? [`… and ${missing + failed - troubles.length} more.`] : []),
    `${files} files: ${copied} with ${bytes} bytes sent, ${there} there before.`,
    ...(missing > 0 ? [`- ${missing} have no bytes here: \`millrace storage check\` lists them.`] : []),
    ...(failed > 0 ? [`- ${failed} failed: run it again, and it goes on with them.`] : []),
  ];
}
