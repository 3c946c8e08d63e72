// In charge of: `millrace storage check | move | encrypt | adopt`: whether rows and bytes agree; files from one store to another, or encrypted; whose they are.
import { OperatorError } from '../../../base/errors.ts';
import { forgetMark, markStore } from '../../../services/storage/blobs/mark.ts';
import { moveBlobs } from '../../../services/storage/blobs/moving.ts';
import { isEncrypted } from '../../../services/storage/bucket-settings.ts';
import { type CheckReport, checkFiles, type Finding } from '../../../services/storage/consistency/check.ts';
import { rewriteFiles } from '../../../services/storage/rewrite.ts';
import { storage as service } from '../../../services/storage/service.ts';
import { withProjectFiles } from '../../project-files.ts';
import type { Invocation } from '../command.ts';
import { paint } from '../paint.ts';
import { prepare } from '../prepare.ts';
import { withDatabase } from '../with-database.ts';

export async function storage(invocation: Invocation): Promise<number> {
  const [action, ...more] = invocation.options.rest;
  if (more.length === 0 && action === 'check') return check(invocation);
  if (more.length === 0 && action === 'adopt') return adopt(invocation);
  if (more.length === 0 && action === 'move') return move(invocation);
  if (more.length === 0 && action === 'encrypt') return encrypt(invocation);
  throw new OperatorError(
    `"${invocation.options.rest.join(' ')}" is nothing that storage does.`,
    'Try `millrace storage check`, `millrace storage check --repair`, `millrace storage move`, `millrace storage encrypt`, or `millrace storage adopt`.',
  );
}

/** How many findings are said; the figures count them all. */
const maxSaid = 1_000;

async function check(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const prepared = await prepare(invocation);
  const said: Finding[] = [];
  const report = await withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, ({ db, blobs, isShared }) => {
      const graceSeconds = prepared.settings.of(service.settings).now().orphanGraceSeconds;
      // What a running backend is about to name is young.
      const removeAfterSeconds = isShared ? graceSeconds : 0;
      return checkFiles({
        db,
        blobs,
        signal: opening.signal,
        checksums: options.has('checksums'),
        removeAfterSeconds: options.has('repair') ? removeAfterSeconds : undefined,
        now: Date.now,
        onFinding(finding) {
          if (said.length < maxSaid) said.push(finding);
        },
      });
    }),
  );
  const found = report.orphans + report.missing + report.wrongSize + report.wrongDigest;
  if (options.json) console.log(JSON.stringify({ ...report, findings: said }));
  else console.log(render(report, said, found, options.has('repair')));
  return found === report.mended ? 0 : 1;
}

function render(report: CheckReport, said: readonly Finding[], found: number, isRepair: boolean): string {
  const digests = report.digests === 0 ? '' : `, ${report.digests} read and compared`;
  const cutOff =
    report.unfinished === 0 ? '' : ` ${report.unfinished} that were cut off on their way were removed.`;
  const head = `${report.blobs} files with ${report.bytes} bytes${digests}.${cutOff}`;
  if (found === 0) return `${head} Rows and bytes agree.`;
  const lines = said.map(sentenceOf);
  if (found > said.length) lines.push(`… and ${found - said.length} more.`);
  const hints = [
    report.orphans > report.mended
      ? isRepair
        ? 'Orphans that are younger than storage.orphan_grace stay: a row may be about to name them.'
        : 'Orphans go by themselves after storage.orphan_grace; `millrace storage check --repair` removes them now.'
      : undefined,
    report.missing + report.wrongSize + report.wrongDigest > 0
      ? 'Bytes that are gone or wrong come back from a backup alone; delete those rows, or upload the files again.'
      : undefined,
  ];
  return [...lines, head, ...hints.filter((hint) => hint !== undefined)].join('\n');
}

function sentenceOf({ kind, id, place = '', expected, found, mended }: Finding): string {
  const word = paint(mended ? 'green' : 'red', (mended ? 'mended' : kind).padEnd('missing'.length));
  switch (kind) {
    case 'orphan':
      return `${word}  ${id}: ${found} bytes that no row names`;
    case 'missing':
      return `${word}  ${place}: its bytes (${id}) are not there`;
    case 'size':
      return `${word}  ${place}: ${found} bytes in place of ${expected} (${id})`;
    case 'digest':
      return `${word}  ${place}: the digest is ${found} in place of ${expected} (${id})`;
  }
}

async function adopt(invocation: Invocation): Promise<number> {
  const prepared = await prepare(invocation);
  const name = await withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, async ({ db, blobs, storeName, stateFolder }) => {
      const sharesDatabase = shaped.server.engine === 'external';
      await forgetMark(db, blobs);
      await markStore({ db, blobs, storeName, home: stateFolder, sharesDatabase, observe: opening.observe });
      return storeName;
    }),
  );
  if (invocation.options.json) console.log(JSON.stringify({ store: name }));
  else console.log(`The files of this database are those in ${name}.`);
  return 0;
}

async function move(invocation: Invocation): Promise<number> {
  const prepared = await prepare(invocation);
  const { moved, from, to } = await withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, async ({ storeName, move: stores }) => {
      if (stores === undefined)
        throw new OperatorError(
          `The files are in ${storeName}, and nothing says where they were before.`,
          'Set storage.backend to the new place and storage.previous_backend to the earlier one, restart, and run this again.',
        );
      const { observe, signal, progress } = opening;
      let said = Date.now();
      const report = await moveBlobs({
        ...stores,
        observe,
        signal,
        onMoved(so) {
          if (Date.now() - said < progressMs) return;
          said = Date.now();
          progress(`${so.moved} files with ${so.bytes} bytes moved so far.`);
        },
      });
      return { moved: report, from: stores.previousName, to: storeName };
    }),
  );
  const isDone = moved.failed === 0;
  if (invocation.options.json) console.log(JSON.stringify({ from, to, ...moved, isDone }));
  else {
    console.log(
      `${moved.moved} files with ${moved.bytes} bytes moved to ${to}; ${moved.there} were there already.`,
    );
    console.log(
      isDone
        ? `Everything is there: take storage.previous_backend away and restart. ${from} is as it was; remove it when you have seen that all is well.`
        : `${moved.failed} failed: run it again.`,
    );
  }
  return isDone ? 0 : 1;
}

async function encrypt(invocation: Invocation): Promise<number> {
  const prepared = await prepare(invocation);
  const config = prepared.settings.of(service.settings);
  const report = await withDatabase(prepared, (shaped, opening) =>
    withProjectFiles(prepared, shaped, opening, async ({ db, blobs, newBlobId, bucketKeys }) => {
      const { observe, signal, progress } = opening;
      if (invocation.options.has('new-keys')) await bucketKeys.retire();
      let said = Date.now();
      return rewriteFiles({
        db,
        blobs,
        newBlobId,
        isEncrypted: (bucket) => isEncrypted(config.now(), bucket),
        currentKeys: bucketKeys.current,
        observe,
        signal,
        onRewritten(so) {
          if (Date.now() - said < progressMs) return;
          said = Date.now();
          progress(`${so.encrypted + so.decrypted} files with ${so.bytes} bytes so far.`);
        },
      });
    }),
  );
  const isDone = report.failed === 0;
  if (invocation.options.json) console.log(JSON.stringify({ ...report, isDone }));
  else {
    console.log(
      `${report.encrypted} files were encrypted, ${report.decrypted} are no longer, ${report.bytes} bytes in all.`,
    );
    console.log(isDone ? 'Every file is kept as its bucket says.' : `${report.failed} failed: run it again.`);
  }
  return isDone ? 0 : 1;
}

const progressMs = 5_000;
