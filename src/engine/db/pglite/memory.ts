// In charge of: what stands where in the engine's memory. The facts belong to one build, and each is tried before it is trusted.
//
// The engine is a PostgreSQL in single-user mode: its one session is the superuser's, and SQL alone cannot make it anybody else's for good
// (`set session authorization` asks who logged in). So that a client is no more than the role it logged in as, the engine's own variables
// are set as a login sets them. Source: PostgreSQL 18 src/backend/utils/init/miscinit.c, src/include/utils/guc_tables.h.

import type { WasmMemory } from './web-assembly.ts';

/** The functions of the engine that are called beside its protocol. */
export interface EngineExports {
  readonly GetUserId: () => number;
  /** Null when there is no setting of that name. */
  readonly find_option: (
    name: number,
    createPlaceholder: number,
    skipErrors: number,
    level: number,
  ) => number;
  readonly GetConfigOption: (name: number, missingOk: number, restrictPrivileged: number) => number;
  readonly malloc: (bytes: number) => number;
  readonly InterruptPending: { readonly value: number };
  readonly QueryCancelPending: { readonly value: number };
  readonly MyLatch: { readonly value: number };
}

/** Where another thread tells the engine to stop its statement, and reads how long it may run. */
export interface Switches {
  readonly interruptPending: number;
  readonly queryCancelPending: number;
  readonly statementTimeout: number;
  /** Set, it ends a wait: `pg_sleep` looks at nothing else. */
  readonly latch: number;
}

/** Offsets from `CurrentUserId`, in the order in which miscinit.c declares them. */
const offset = {
  currentUser: 0,
  outerUser: 4,
  sessionUser: 8,
  sessionUserIsSuperuser: 12,
  authenticatedUser: 20,
  restriction: 24,
  setRoleIsActive: 28,
} as const;

/** `struct config_generic`, and `config_int.variable` behind it. */
const guc = { name: 0, source: 32, nextNonDefault: 68, nonDefault: 64, variable: 92 } as const;
/** `PGC_S_SESSION` */
const fromSession = 13;
/** The superuser that initdb made. */
export const bootstrapSuperuser = 10;
const scratchBytes = 256;
const maxSettings = 10_000;

/** What a SET changes and no session keeps, or what is kept in another way. */
const notKept: ReadonlySet<string> = new Set([
  'role',
  'session_authorization',
  'is_superuser',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
  'seed',
]);

export class EngineMemory {
  readonly switches: Switches;
  readonly #memory: WasmMemory;
  readonly #exports: EngineExports;
  readonly #users: number;
  readonly #scratch: number;
  readonly #listHead: number;
  #view: DataView;

  /** @throws when this is not the build that the facts are about. */
  constructor(memory: WasmMemory, exports: EngineExports, memoryBase: number, image: Uint8Array) {
    this.#memory = memory;
    this.#exports = exports;
    this.#view = new DataView(memory.buffer);
    this.#scratch = exports.malloc(scratchBytes);
    this.#users = memoryBase + findUserVariables(image);
    const isAtStart =
      this.#word(offset.currentUser) === bootstrapSuperuser &&
      this.#word(offset.sessionUser) === bootstrapSuperuser &&
      this.#word(offset.authenticatedUser) === bootstrapSuperuser &&
      exports.GetUserId() === bootstrapSuperuser;
    if (!isAtStart) throw new Error('this build of PGlite keeps its session user elsewhere');
    this.#listHead = this.#findListHead();
    const variable = this.#read(this.#option('statement_timeout') + guc.variable);
    this.switches = {
      interruptPending: memoryBase + exports.InterruptPending.value,
      queryCancelPending: memoryBase + exports.QueryCancelPending.value,
      statementTimeout: variable,
      latch: this.#read(memoryBase + exports.MyLatch.value),
    };
  }

  /** From now on the session is the superuser's, whatever it was. Only between transactions. */
  becomeSuperuser(): void {
    this.#set(offset.currentUser, bootstrapSuperuser);
    this.#set(offset.outerUser, bootstrapSuperuser);
    this.#set(offset.sessionUser, bootstrapSuperuser);
    this.#set(offset.authenticatedUser, bootstrapSuperuser);
    this.#set(offset.restriction, 0);
    this.#fresh().setUint8(this.#users + offset.sessionUserIsSuperuser, 1);
    this.#fresh().setUint8(this.#users + offset.setRoleIsActive, 0);
  }

  /** The role that logged in, and that no SET SESSION AUTHORIZATION gets beyond. */
  loggedInAs(role: number): void {
    this.#set(offset.authenticatedUser, role);
  }

  /** Whether the session is `role`'s, as seen by the engine's own checks. */
  isSessionOf(role: number): boolean {
    return this.#word(offset.sessionUser) === role && this.#word(offset.authenticatedUser) === role;
  }

  /** The settings that the session has changed, and the role that it has set. */
  sessionSettings(): { readonly settings: ReadonlyMap<string, string>; readonly role: string | undefined } {
    const settings = new Map<string, string>();
    let role: string | undefined;
    for (const option of this.#nonDefault()) {
      if (this.#read(option + guc.source) !== fromSession) continue;
      const name = this.#text(this.#read(option + guc.name));
      if (name === 'role') {
        const value = this.setting(name);
        role = value === 'none' ? undefined : value;
      } else if (!notKept.has(name)) settings.set(name, this.setting(name) ?? '');
    }
    return { settings, role };
  }

  /** A setting as `set_config` takes it; undefined when there is none of that name. */
  setting(name: string): string | undefined {
    const found = this.#exports.GetConfigOption(this.#put(name), 1, 0);
    return found === 0 ? undefined : this.#text(found);
  }

  /** Takes back a request to stop that came too late. */
  clearCancel(): void {
    this.#fresh().setInt32(this.switches.queryCancelPending, 0, true);
  }

  *#nonDefault(): Generator<number> {
    let node = this.#read(this.#listHead + 4);
    for (let seen = 0; node !== this.#listHead; seen++) {
      if (seen > maxSettings) throw new Error('the list of settings does not end');
      yield node - guc.nonDefault;
      node = this.#read(node + 4);
    }
  }

  /** The list goes in a circle; its head is the one link in it that is no setting's. */
  #findListHead(): number {
    const start = this.#option('config_file') + guc.nonDefault;
    let node = start;
    for (let seen = 0; seen < maxSettings; seen++) {
      const option = node - guc.nonDefault;
      const name = this.#read(option + guc.name);
      const isOption =
        name > 0 && name < this.#memory.buffer.byteLength && this.#find(this.#text(name)) === option;
      if (!isOption) return node;
      node = this.#read(node + 4);
      if (node === start) break;
    }
    throw new Error('this build of PGlite keeps its settings elsewhere');
  }

  #option(name: string): number {
    const found = this.#find(name);
    if (found === 0) throw new Error(`this build of PGlite has no setting "${name}"`);
    return found;
  }

  #find(name: string): number {
    if (name === '' || Buffer.byteLength(name) >= scratchBytes) return 0;
    return this.#exports.find_option(this.#put(name), 0, 1, 0);
  }

  #put(text: string): number {
    new Uint8Array(this.#memory.buffer, this.#scratch, scratchBytes).set(Buffer.from(`${text}\0`));
    return this.#scratch;
  }

  #text(at: number): string {
    const bytes = new Uint8Array(this.#memory.buffer);
    // Copied: a decoder takes no shared bytes.
    return Buffer.from(bytes.slice(at, bytes.indexOf(0, at))).toString('utf8');
  }

  #read(at: number): number {
    return this.#fresh().getUint32(at, true);
  }

  #word(at: number): number {
    return this.#read(this.#users + at);
  }

  #set(at: number, value: number): void {
    this.#fresh().setUint32(this.#users + at, value, true);
  }

  /** Memory that has grown has another buffer. */
  #fresh(): DataView {
    const { buffer } = this.#memory;
    if (this.#view.buffer !== buffer || this.#view.byteLength !== buffer.byteLength)
      this.#view = new DataView(buffer);
    return this.#view;
  }
}

/**
 * Where `CurrentUserId` is, from the code of GetUserId: `global.get __memory_base; i32.const <offset>; i32.add; i32.load`.
 * The same bytes, with the offset 20 higher, are GetAuthenticatedUserId, which nobody exports.
 */
function findUserVariables(image: Uint8Array): number {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  const at = bytes.indexOf(userFunctions);
  if (at === -1 || bytes.indexOf(userFunctions, at + 1) !== -1) {
    throw new Error('this is another build of PGlite than the one whose memory is known');
  }
  return currentUserOffset;
}

/** `CurrentUserId` of @electric-sql/pglite 0.5.8. */
const currentUserOffset = 2_877_608;

/** GetUserId … GetAuthenticatedUserId: five functions of 13 bytes that read neighbouring variables. */
const userFunctions = Buffer.concat(
  [
    [0x28, offset.currentUser],
    [0x28, offset.outerUser],
    [0x28, offset.sessionUser],
    [0x2d, offset.sessionUserIsSuperuser],
    [0x28, offset.authenticatedUser],
  ].map(([load, from]) =>
    Buffer.from([
      13,
      0,
      0x23,
      0x00,
      0x41,
      ...signedLeb128(currentUserOffset + from!),
      0x6a,
      load!,
      load === 0x28 ? 2 : 0,
      0,
      0x0b,
    ]),
  ),
);

function signedLeb128(number: number): number[] {
  const bytes: number[] = [];
  for (let rest = number; ; rest >>= 7) {
    const low = rest & 0x7f;
    const isLast = (rest >> 7 === 0 && (low & 0x40) === 0) || (rest >> 7 === -1 && (low & 0x40) !== 0);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}
