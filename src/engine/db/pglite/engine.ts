// In charge of: PGlite in this thread: its WASM loaded over a folder of this machine, with writes that reach the disk, and its protocol loop.
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { distOf, isLibrary } from './bundles.ts';
import { maxPages, withSharedMemory } from './image.ts';
import { type EngineExports, EngineMemory } from './memory.ts';
import { type WasmInstance, type WasmMemory, webAssembly } from './web-assembly.ts';

export interface EngineOptions {
  readonly dataFolder: string;
  /** What `openBundles` gave. */
  readonly bundleFolder: string;
  /** Control files and scripts of the program's own extensions. */
  readonly extensionFolder: string;
  /** Where the vault's functions find its key. */
  readonly vaultKeyFile: string;
  /** Settings of the server, as its command line takes them. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether a commit waits for the disk. Off for a throw-away database. */
  readonly durable: boolean;
}

/** What is used of Emscripten's module. Source: @electric-sql/pglite 0.5.8 dist/index.d.ts. */
interface Module {
  readonly FS: EngineFileSystem;
  addFunction(callback: (at: number, length: number) => number, signature: string): number;
  _pgl_set_rw_cbs(read: number, write: number): void;
  _pgl_setPGliteExitStatus(status: number): number;
  _pgl_pq_flush(): void;
  _pq_buffer_remaining_data(): number;
  _PostgresMainLoopOnce(): void;
  _PostgresMainLongJmp(): void;
  _PostgresSendReadyForQueryIfNecessary(): void;
}
interface EngineFileSystem {
  readonly filesystems: { readonly NODEFS: { realPath(node: unknown): string } };
  mkdirTree(path: string): void;
  mount(type: unknown, options: { root: string }, path: string): void;
  symlink(target: string, path: string): void;
  analyzePath(path: string): { readonly exists: boolean };
  readdir(path: string): readonly string[];
  readFile(path: string): Uint8Array;
  writeFile(path: string, data: Uint8Array): void;
  getStream(descriptor: number): { readonly nfd?: number; readonly node: unknown } | null;
  quit(): void;
}
interface LoadOptions {
  wasmMemory?: WasmMemory;
  noWasmDecoding?: boolean;
  instantiateWasm?: (imports: Imports, done: (instance: WasmInstance, module: object) => void) => object;
  preRun?: ((module: Module) => void)[];
}
type Imports = Record<string, Record<string, unknown>>;

/** The engine's main loop was left by an error of a statement, as C's longjmp does it. Source: pglitec.c POSTGRES_MAIN_LONGJMP. */
const leftByError = 100;
const initialPages = 2_048;
const root = '/pglite';
const dataPath = `${root}/data`;
const libraryPath = `${root}/lib/postgresql`;

/** The engine ended, and its memory with it: what a FATAL error or a WASM trap does. */
export class EngineEnded extends Error {
  override readonly name = 'EngineEnded';
}

export class Engine {
  readonly memory: EngineMemory;
  readonly wasmMemory: WasmMemory;
  readonly #pglite: PGlite;
  readonly #module: Module;
  readonly #loaded: Loaded;
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #more: (() => Uint8Array) | undefined;
  #sink: (bytes: Buffer) => void = () => {};

  private constructor(pglite: PGlite, loaded: Loaded) {
    this.#pglite = pglite;
    // Sound: the interface names what is used of it.
    this.#module = pglite.Module as unknown as Module;
    this.#loaded = loaded;
    this.wasmMemory = loaded.memory;
    this.memory = new EngineMemory(loaded.memory, loaded.exports, loaded.memoryBase, loaded.image);
    const heap = () => new Uint8Array(loaded.memory.buffer);
    const read = this.#module.addFunction((at, length) => {
      const part = this.#take(length);
      heap().set(part, at);
      return part.length;
    }, 'iii');
    const write = this.#module.addFunction((at, length) => {
      // A copy, because the engine goes on writing there.
      this.#sink(Buffer.from(heap().slice(at, at + length)));
      return length;
    }, 'iii');
    this.#module._pgl_set_rw_cbs(read, write);
  }

  /** Starts the engine on a data folder, which it makes when it is empty. @throws when it does not start. */
  static async open(options: EngineOptions): Promise<Engine> {
    const loaded: Loaded = { syncs: 0 } as Loaded;
    const failed = Promise.withResolvers<never>();
    loaded.fail = failed.reject;
    const created = PGlite.create({
      // Sound: the interface of PGlite's file systems, with the part of Emscripten's options that is touched.
      fs: hostFileSystem(options, loaded) as never,
      initDbStartParams: [
        '--username=supabase_admin',
        '--locale-provider=icu',
        '--icu-locale=und',
        '--data-checksums',
        '--no-sync',
      ],
      startParams: startArguments(options),
    });
    // An image that does not load would be waited for without end.
    return new Engine(await Promise.race([created, failed.promise]), loaded);
  }

  /** How often this machine was asked to put a file on its disk. */
  get syncs(): number {
    return this.#loaded.syncs;
  }

  /**
   * Hands whole messages to the engine and gives what it answers to `sink`, in pieces. `more` is asked when the engine waits for the data of a
   * COPY; without it there is none. `before` is called before each message.
   * @throws EngineEnded
   */
  run(input: Uint8Array, sink: (bytes: Buffer) => void, more?: () => Uint8Array, before?: () => void): void {
    const module = this.#module;
    this.#input = input;
    this.#at = 0;
    this.#sink = sink;
    this.#more = more;
    while (this.#at < this.#input.length || module._pq_buffer_remaining_data() > 0) {
      before?.();
      this.#guarded(() => module._PostgresMainLoopOnce());
    }
    this.#guarded(() => module._PostgresSendReadyForQueryIfNecessary());
    this.#guarded(() => module._pgl_pq_flush());
    this.#more = undefined;
  }

  async close(): Promise<void> {
    await this.#pglite.close();
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (this.#module._pgl_setPGliteExitStatus(-2) === leftByError) {
        this.#guarded(() => this.#module._PostgresMainLongJmp());
        return;
      }
      throw new EngineEnded('the engine ended', { cause: error });
    }
  }

  #take(length: number): Uint8Array {
    if (this.#at >= this.#input.length && this.#more !== undefined) {
      this.#input = this.#more();
      this.#at = 0;
    }
    const part = this.#input.subarray(this.#at, this.#at + length);
    this.#at += part.length;
    return part;
  }
}

/** What is learnt while the module is loaded. */
interface Loaded {
  memory: WasmMemory;
  exports: EngineExports;
  memoryBase: number;
  image: Uint8Array;
  syncs: number;
  fail: (error: unknown) => void;
}

/** A PGlite file system: the data folder and the unpacked extensions of this machine, below `/pglite`. */
function hostFileSystem(options: EngineOptions, loaded: Loaded) {
  let fileSystem: EngineFileSystem;
  return {
    async init(_pglite: unknown, given: LoadOptions): Promise<{ emscriptenOpts: LoadOptions }> {
      loaded.memory = new webAssembly.Memory({ initial: initialPages, maximum: maxPages, shared: true });
      loaded.image = readFileSync(join(distOf('@electric-sql/pglite'), 'pglite.wasm'));
      return {
        emscriptenOpts: {
          ...given,
          wasmMemory: loaded.memory,
          // Its own libraries ask for memory that is not shared, until they are put right below.
          noWasmDecoding: true,
          instantiateWasm(imports, done) {
            override(imports, loaded, options.durable, () => fileSystem);
            void webAssembly
              .instantiate(withSharedMemory(loaded.image), imports)
              .then(({ instance, module }) => {
                // Sound: EngineMemory tries what it uses of them.
                loaded.exports = instance.exports as unknown as EngineExports;
                done(instance, module);
              }, loaded.fail);
            return {};
          },
          preRun: [
            ...(given.preRun ?? []),
            (module) => {
              fileSystem = module.FS;
              fileSystem.mkdirTree(dataPath);
              fileSystem.mount(fileSystem.filesystems.NODEFS, { root: options.dataFolder }, dataPath);
            },
          ],
        },
      };
    },
    async initialSyncFs(): Promise<void> {
      shareOwnLibraries(fileSystem);
      link(fileSystem, options.bundleFolder, `${root}/bundles`, root);
      link(fileSystem, options.extensionFolder, `${root}/extensions`, `${root}/share/postgresql/extension`);
      if (existsSync(options.vaultKeyFile))
        fileSystem.writeFile(`${root}/vault.key`, readFileSync(options.vaultKeyFile));
    },
    async syncToFs(): Promise<void> {},
    async closeFs(): Promise<void> {
      fileSystem.quit();
    },
  };
}

/**
 * What the engine imports of its surroundings, put right: Emscripten's `fsync` and `fdatasync` do nothing at all, so that 20 commits
 * reached no disk; and random bytes cannot be filled into shared memory.
 */
function override(
  imports: Imports,
  loaded: Loaded,
  durable: boolean,
  fileSystem: () => EngineFileSystem,
): void {
  const sync = (descriptor: number): number => {
    if (!durable) return 0;
    const stream = fileSystem().getStream(descriptor);
    if (stream === null) return 8;
    loaded.syncs += 1;
    try {
      if (stream.nfd !== undefined) fsyncSync(stream.nfd);
      else syncFolder(fileSystem().filesystems.NODEFS, stream.node);
      return 0;
    } catch {
      // EIO: the engine stops itself then rather than promise what is not there.
      return 29;
    }
  };
  imports.wasi_snapshot_preview1!.fd_sync = sync;
  imports.env!.__syscall_fdatasync = (descriptor: number) => -sync(descriptor);
  imports.wasi_snapshot_preview1!.random_get = (at: number, length: number): number => {
    new Uint8Array(loaded.memory.buffer, at, length).set(crypto.getRandomValues(new Uint8Array(length)));
    return 0;
  };
  // Sound: Emscripten gives its modules a WebAssembly.Global of that name.
  loaded.memoryBase = Number((imports.env!.__memory_base as { readonly value: number }).value);
}

/** A folder has no descriptor of its own here; a file's new name is on the disk when its folder is. */
function syncFolder(nodeFs: EngineFileSystem['filesystems']['NODEFS'], node: unknown): void {
  // Windows has no such call.
  if (process.platform === 'win32') return;
  const handle = openSync(nodeFs.realPath(node), 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** PL/pgSQL and its like come with the engine, not in a bundle. */
function shareOwnLibraries(fileSystem: EngineFileSystem): void {
  for (const name of fileSystem.readdir(libraryPath)) {
    if (!isLibrary(name)) continue;
    const path = posix.join(libraryPath, name);
    fileSystem.writeFile(path, withSharedMemory(fileSystem.readFile(path)));
  }
}

/** Files of a folder of this machine, found by the engine at `target`, each unless it has one of that name. */
function link(fileSystem: EngineFileSystem, folder: string, mountedAt: string, target: string): void {
  fileSystem.mkdirTree(mountedAt);
  fileSystem.mount(fileSystem.filesystems.NODEFS, { root: folder }, mountedAt);
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const inside = relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/');
    const path = `${target}/${inside}`;
    if (fileSystem.analyzePath(path).exists) continue;
    fileSystem.mkdirTree(posix.dirname(path));
    fileSystem.symlink(`${mountedAt}/${inside}`, path);
  }
}

function startArguments({ parameters, durable }: EngineOptions): string[] {
  const settings: Record<string, string> = {
    ...parameters,
    exit_on_error: 'off',
    log_checkpoints: 'off',
    max_worker_processes: '0',
    max_parallel_workers: '0',
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',
    io_method: 'sync',
    fsync: durable ? 'on' : 'off',
  };
  // `--single` has to be the first; `-j`: a line break ends no statement.
  return [
    '--single',
    '-j',
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}
