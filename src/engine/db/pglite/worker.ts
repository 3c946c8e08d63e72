// In charge of: the thread that PGlite runs in. It does one thing at a time, and while it does, only the board tells it anything.
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errorMessage } from '../../../base/errors.ts';
import { literal } from '../ident.ts';
import { Engine, EngineEnded } from './engine.ts';
import { SessionRefused } from './session-refused.ts';
import { Sessions } from './sessions.ts';
import {
  boardPlace,
  clockNow,
  type FromEngine,
  stopReason,
  type ToEngine,
  type WorkerStart,
} from './talk.ts';
import { message } from './wire.ts';

// Sound: only openEngineThread starts this file.
const start = workerData as WorkerStart;
const port = parentPort!;
const board = new Int32Array(start.board);
const say = (sentence: FromEngine, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(sentence, [...transfer]);

/** An answer is sent on when so much of it has come. */
const pieceBytes = 64 * 1024;
/** So many bytes that the client has not taken keep the engine waiting; a client that takes none for so long counts as gone. */
const maxUnreadBytes = 4 * 1024 * 1024;
const waitForReaderMs = 30_000;
const wakeEveryMs = 1_000;

try {
  const engine = await Engine.open(start);
  const sessions = new Sessions(engine);
  loadLibraries(sessions);
  const { rows } = sessions.ask(
    "select current_setting('server_version'), current_setting('server_version_num')",
  );
  say({
    kind: 'ready',
    version: rows[0]?.[0] ?? '',
    versionNumber: Number(rows[0]?.[1]),
    memory: engine.wasmMemory,
    switches: engine.memory.switches,
  });
  port.on('message', (told: ToEngine) => {
    try {
      obey(told, engine, sessions);
    } catch (error) {
      if (error instanceof SessionRefused) say({ kind: 'refused', fault: error.fault });
      else end(error);
    }
  });
} catch (error) {
  say({ kind: 'failed', message: messageOf(error) });
}

/**
 * What takes seconds to compile is loaded before anybody comes: the first statement that touches one of its types would pay for it, and run into its
 * role's statement_timeout on a busy machine. Others are compiled when they are needed, in a few milliseconds.
 */
function loadLibraries(sessions: Sessions): void {
  const { rows } = sessions.ask(
    "select distinct probin from pg_catalog.pg_proc where probin operator(pg_catalog.~~) '%/postgis%'",
  );
  for (const [library] of rows) sessions.ask(`load ${literal(library ?? '')}`);
}

function obey(told: ToEngine, engine: Engine, sessions: Sessions): void {
  switch (told.kind) {
    case 'open':
      say({ kind: 'opened', parameters: sessions.open(told.session, told.login) });
      return;
    case 'run':
      run(told, engine, sessions);
      return;
    case 'close':
      sessions.close(told.session);
      say({ kind: 'closed' });
      return;
    case 'ask': {
      const { rows, error } = sessions.ask(told.sql);
      say({ kind: 'answer', rows, error: error?.message });
      return;
    }
    case 'stop':
      sessions.ask('checkpoint');
      void engine.close().then(
        () => say({ kind: 'closed' }),
        () => say({ kind: 'closed' }),
      );
      return;
    case 'more':
      // What was sent for a COPY that has ended meanwhile; the protocol lets a client do that.
      return;
  }
}

function run(told: ToEngine & { kind: 'run' }, engine: Engine, sessions: Sessions): void {
  let pieces: Buffer[] = [];
  let held = 0;
  const flush = (): void => {
    if (held === 0) return;
    const bytes = Uint8Array.from(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, held));
    pieces = [];
    held = 0;
    if (isGone()) return;
    Atomics.add(board, boardPlace.unread, bytes.length);
    say({ kind: 'output', bytes }, [bytes.buffer]);
    waitForReader();
  };
  try {
    const status = sessions.run(told.session, told.bytes, {
      sink(bytes) {
        pieces.push(bytes);
        held += bytes.length;
        if (held >= pieceBytes) flush();
      },
      more() {
        flush();
        return waitForMore();
      },
      before: () => Atomics.store(board, boardPlace.startedAt, clockNow()),
      notify: (to, bytes) => say({ kind: 'notified', sessions: to, bytes: Uint8Array.from(bytes) }),
      isTimedOut: () => Atomics.load(board, boardPlace.stopped) === stopReason.statementTimeout,
    });
    flush();
    say({ kind: 'done', status, syncs: engine.syncs });
  } finally {
    Atomics.store(board, boardPlace.startedAt, -1);
  }
}

/** The next messages of the client whose COPY runs. One that has gone fails its COPY. */
function waitForMore(): Uint8Array {
  const seen = Atomics.load(board, boardPlace.posted);
  say({ kind: 'wants' });
  // The client may take its time; that is not the statement's.
  Atomics.store(board, boardPlace.startedAt, -1);
  for (let posted = seen; ; posted = Atomics.load(board, boardPlace.posted)) {
    const next = receiveMessageOnPort(port)?.message as ToEngine | undefined;
    if (next?.kind === 'more') {
      Atomics.store(board, boardPlace.startedAt, clockNow());
      return next.bytes;
    }
    if (isGone() || Atomics.load(board, boardPlace.stopped) !== stopReason.none) return copyFail;
    if (next === undefined) Atomics.wait(board, boardPlace.posted, posted, wakeEveryMs);
  }
}

const copyFail = message('f', 'the client has gone');

/** Answers that nobody reads would fill the memory. */
function waitForReader(): void {
  const untilMs = Date.now() + waitForReaderMs;
  for (;;) {
    const unread = Atomics.load(board, boardPlace.unread);
    if (unread <= maxUnreadBytes || isGone()) return;
    if (Date.now() > untilMs) Atomics.store(board, boardPlace.gone, 1);
    Atomics.wait(board, boardPlace.unread, unread, wakeEveryMs);
  }
}

function isGone(): boolean {
  return Atomics.load(board, boardPlace.gone) !== 0;
}

/** Nothing can be promised of memory that was left in the middle of something. */
function end(error: unknown): void {
  say({ kind: 'ended', reason: messageOf(error) });
  port.close();
}

function messageOf(error: unknown): string {
  const inner = error instanceof EngineEnded ? error.cause : undefined;
  return inner === undefined ? errorMessage(error) : `${errorMessage(error)}: ${errorMessage(inner)}`;
}
