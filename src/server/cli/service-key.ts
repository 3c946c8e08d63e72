// In charge of: the key that files of another project are read and written with.
import { OperatorError } from '../../base/errors.ts';
import type { Prepared } from '../prepare.ts';
import type { Invocation } from './command.ts';

/** @param name of the variable. @throws OperatorError without one */
export function serviceKeyOf(
  { options }: Pick<Invocation, 'options'>,
  { project }: Pick<Prepared, 'project'>,
  name: 'MILLRACE_SOURCE_SERVICE_KEY' | 'MILLRACE_TARGET_SERVICE_KEY',
): string {
  const key = options.text('service-key') ?? project.environment[name];
  if (key) return key;
  throw new OperatorError(
    'Files come and go with the service key of the other project, and none is given.',
    `Set ${name} to its service_role key or a secret key.`,
  );
}
