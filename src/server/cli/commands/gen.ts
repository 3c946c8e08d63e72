// In charge of: `millrace gen types`: types for applications, from the database as it is.
import { OperatorError } from '../../../base/errors.ts';
import type { Language } from '../../../engine/db/typegen/generate.ts';
import { rest } from '../../../services/rest/service.ts';
import type { Invocation } from '../command.ts';
import type { Options } from '../options.ts';
import { withTarget } from '../target.ts';

const languages = ['typescript', 'go', 'swift', 'python'] as const satisfies readonly Language[];
const accesses = ['internal', 'public'] as const;

export async function gen(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  const [what, word] = options.rest;
  if (what !== 'types') {
    throw new OperatorError(
      what === undefined ? 'What is to be generated?' : `"${what}" is nothing that gen makes.`,
      'It makes types: `millrace gen types`.',
    );
  }
  const language = oneOf(languages, options.text('lang') ?? word ?? 'typescript', 'language');
  const swiftAccess = oneOf(accesses, options.text('swift-access-control') ?? 'internal', 'access of Swift');
  // Loaded when it is needed: it brings a formatter and a schema library along.
  const { generateTypes } = await import('../../../engine/db/typegen/generate.ts');
  const text = await withTarget(invocation, ({ prepared, login }) =>
    generateTypes(login, {
      language,
      swiftAccess,
      schemas: schemasOf(options, prepared.settings.of(rest.settings).now().schemas),
      oneToOne: !options.has('postgrest-v9-compat'),
    }),
  );
  process.stdout.write(text);
  return 0;
}

/** Those that are asked for, else `public` and those of [api].schemas. Source: supabase/cli 3.1.0, `supabase gen types`. */
function schemasOf(options: Options, exposed: readonly string[]): readonly string[] {
  const asked = options.list('schema');
  return asked.length > 0 ? asked : [...new Set(['public', ...exposed])];
}

function oneOf<const W extends string>(words: readonly W[], given: string, what: string): W {
  const found = words.find((word) => word === given.toLowerCase());
  if (found !== undefined) return found;
  throw new OperatorError(
    `"${given}" is no ${what} that types are made for.`,
    `It is one of ${words.join(', ')}.`,
  );
}
