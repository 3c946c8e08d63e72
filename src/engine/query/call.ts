// In charge of: which overload of a function a call means: by the names of what is passed.
// Source: PostgREST 14.12, src/PostgREST/Plan.hs (findProc); docs/references/api/functions.rst.
import { type Catalog, keyOf, type Routine } from '../catalog/catalog.ts';
import { ambiguousFunction, type CallFacts, noFunction } from './errors.ts';

/**
 * The one function that takes what is passed; without one by names, the one whose only, unnamed parameter takes the whole body.
 * @throws PGRST202 when there is none, PGRST203 when there are several.
 */
export function findFunction(catalog: Catalog, call: CallFacts): Routine {
  const overloads = catalog.routines.get(keyOf(call.function)) ?? [];
  const named = overloads.filter((routine) => takesKeys(routine, call));
  const found = named.length > 0 ? named : overloads.filter((routine) => takesBody(routine, call));
  if (found.length === 0) throw noFunction(call, overloads, catalog);
  if (found.length > 1) throw ambiguousFunction(found);
  return found[0]!;
}

function takesKeys(routine: Routine, call: CallFacts): boolean {
  const passed = new Set(call.keys);
  if (routine.parameters.length === 0) {
    const wholeBody = call.post && call.single !== undefined && call.single !== 'json';
    return passed.size === 0 && !wholeBody;
  }
  const known = new Set(routine.parameters.map(({ name }) => name));
  return (
    call.keys.every((key) => known.has(key)) &&
    routine.parameters.every(({ name, required }) => !required || passed.has(name))
  );
}

/** Whether its one unnamed parameter takes the whole body. */
export function takesBody(routine: Routine, call: CallFacts): boolean {
  const [parameter, another] = routine.parameters;
  if (!call.post || !parameter || another || parameter.name !== '') return false;
  return call.single === 'json'
    ? parameter.type === 'json' || parameter.type === 'jsonb'
    : parameter.type === call.single;
}
