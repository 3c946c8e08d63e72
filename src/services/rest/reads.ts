// In charge of: reads of the Data API on behalf of another service.
import { keyOf } from '../../engine/catalog/catalog.ts';
import type { Read, ReadFacts, Reads } from '../../engine/service/reads.ts';
import { answer, preparedFor, type Rest } from './answer.ts';
import { renderError } from './render-error.ts';
import { refuseOutOfScope, withoutForeignNames } from './scope.ts';
import type { WireRequest } from './wire.ts';

export function openReads(rest: Rest, mount: string): Reads {
  const wireOf = ({ path, query }: Read): WireRequest => ({
    method: 'GET',
    path,
    query,
    headers: { accept: 'application/json' },
    body: Buffer.alloc(0),
  });
  return {
    mount,
    inspect(read, caller) {
      const prepared = preparedFor(rest, wireOf(read));
      refuseOutOfScope(caller, prepared);
      return prepared.answer === 'describe' ? nothing : factsOf(rest, prepared.touches);
    },
    async rows(read, caller, cancellation) {
      const { body } = await answer(rest, wireOf(read), { caller, cancellation, timings: undefined });
      return String(body);
    },
    sentenceOf(error) {
      const { body } = renderError(withoutForeignNames(anybody, error), true);
      const { message } = JSON.parse(String(body)) as { message?: string };
      return message ?? 'The read failed.';
    },
  };
}

const nothing: ReadFacts = { relations: [], primaryKey: [], functions: [] };
/** Whose key is narrowed to nothing of what names a hint may tell. */
const anybody = { role: '', claims: '', subject: undefined, by: 'nothing' } as const;

function factsOf(
  rest: Rest,
  touches: Extract<ReturnType<typeof preparedFor>, { touches: unknown }>['touches'],
): ReadFacts {
  const { relations } = rest.catalog.now();
  const named = touches.filter(({ kind }) => kind === 'relation');
  const found = named.map((name) => ({ ...name, isView: relations.get(keyOf(name))?.isView ?? true }));
  const root = named[0] && relations.get(keyOf(named[0]));
  return {
    relations: found.map(({ schema, name, isView }) => ({ schema, name, isView })),
    primaryKey: root?.primaryKey ?? [],
    functions: touches
      .filter(({ kind }) => kind !== 'relation')
      .map(({ schema, name }) => ({ schema, name })),
  };
}
