// In charge of: a function call in SQL. Source: docs/references/api/functions.rst.
import type { Name } from '../../catalog/catalog.ts';
import { type CallPlan, returnsScalar, returnsSetOfScalar } from '../ast.ts';
import type { Value } from '../query.ts';
import { bodyName, compileBody } from './body.ts';
import { column, ident, param, qualified, type Writer } from './writer.ts';

/** The alias of a called function's rows, and the column of one that gives plain values. Both show in Postgres's messages. */
const callName = 'pgrst_call';
export const scalarName = 'pgrst_scalar';

export function compileCall(writer: Writer, plan: CallPlan): string {
  const { routine, arguments: args } = plan;
  const isScalar = returnsScalar(routine) || returnsSetOfScalar(routine);
  const call: Name = { schema: '', name: callName };
  const columns = isScalar
    ? column(call, scalarName)
    : plan.returning.length === 0
      ? '*'
      : plan.returning.map((name) => column(call, name)).join(', ');
  const body =
    args.kind === 'body'
      ? `${compileBody(
          writer,
          args.body,
          args.parameters.map(({ name, castType }) => ({
            name,
            type: castType,
            transform: undefined,
            default: undefined,
          })),
          false,
        )}, lateral `
      : '';
  const invoked = `${qualified(routine)}(${compileArguments(writer, plan)})`;
  const from = isScalar ? `(select ${invoked} as ${scalarName}) ${callName}` : `${invoked} ${callName}`;
  return `select ${columns} from ${body}${from}`;
}

function compileArguments(writer: Writer, { arguments: args }: CallPlan): string {
  switch (args.kind) {
    case 'none':
      return '';
    case 'single':
      return args.type === 'bytea'
        ? `${param(writer, args.value, { kind: 'bytes' })}::bytea`
        : `${param(writer, args.value)}::${args.type}`;
    case 'body': {
      const body: Name = { schema: '', name: bodyName };
      return args.parameters
        .map(({ name, variadic }) => `${variadic ? 'variadic ' : ''}${ident(name)} := ${column(body, name)}`)
        .join(', ');
    }
    case 'values':
      return args.values
        .map(({ name, castType, variadic, value }) => {
          const [first, ...more]: readonly Value[] = Array.isArray(value) ? value : [value as Value];
          const passed = variadic ? param(writer, first!, { kind: 'array', more }) : param(writer, first!);
          return `${variadic ? 'variadic ' : ''}${ident(name)} := ${passed}::${castType}`;
        })
        .join(', ');
  }
}
