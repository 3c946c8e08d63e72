// In charge of: all chains of a checkout's code.
import { dirname, join, normalize } from 'node:path';
import { type Chain, chainsOf, type Found } from './chains.ts';
import { aliasFolders, findCode, readText } from './checkout.ts';
import { parseSource, type Source } from './syntax.ts';

export interface Code extends Found {
  readonly files: number;
  /** Files that the parser could make nothing of. */
  readonly unread: readonly string[];
}

/** Reads every file of code below `root` and what it imports from the others. */
export async function readCode(root: string): Promise<Code> {
  const paths = await findCode(root);
  const sources = new Map<string, Source>();
  const unread: string[] = [];
  for (const path of paths) {
    const text = await readText(join(root, path));
    const source = text === undefined ? undefined : parseSource(path, text);
    if (source === undefined) unread.push(path);
    else sources.set(path, source);
  }
  return { ...chainsOfAll(sources), files: paths.length, unread };
}

/** The chains of files by their paths, names followed from one into the other. Pure. */
export function chainsOfAll(sources: ReadonlyMap<string, Source>): Found {
  const chains: Chain[] = [];
  const lost: Found['lost'][number][] = [];
  let storage = 0;
  const find = (from: Source, specifier: string) => findImported(sources, from.path, specifier);
  for (const source of sources.values()) {
    if (!/\b(?:from|rpc)\b/.test(source.text)) continue;
    const found = chainsOf(source, find);
    chains.push(...found.chains);
    lost.push(...found.lost);
    storage += found.storage;
  }
  return { chains, lost, storage };
}

function findImported(
  sources: ReadonlyMap<string, Source>,
  from: string,
  specifier: string,
): Source | undefined {
  const alias = /^[@~]\/(.*)$/.exec(specifier)?.[1];
  const bases =
    alias !== undefined
      ? foldersAbove(from).flatMap((folder) => aliasFolders.map((inner) => join(folder, inner, alias)))
      : specifier.startsWith('.')
        ? [join(dirname(from), specifier)]
        : [];
  for (const base of bases) {
    const stem = base.replace(/\.[cm]?js$/, '');
    for (const ending of ['', '.ts', '.tsx', '.js', '.mjs', '/index.ts', '/index.tsx', '/index.js']) {
      const source = sources.get(normalize(`${stem}${ending}`)) ?? sources.get(normalize(`${base}${ending}`));
      if (source !== undefined) return source;
    }
  }
  return undefined;
}

/** An alias is that of the package the file is in: the nearest folder that has the file wins. */
function foldersAbove(path: string): readonly string[] {
  const folder = dirname(path);
  return folder === '.' ? ['.'] : [folder, ...foldersAbove(folder)];
}
