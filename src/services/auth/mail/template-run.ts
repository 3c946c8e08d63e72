// In charge of: running a template that was loaded. Bounded in text and steps, whatever the data.
import type { Escape } from './template-escape.ts';
import { byKey, fieldOf, functions, isTrue, textOf } from './template-functions.ts';
import type { Branch, Expression, Node } from './template-tree.ts';

export type TemplateData = Readonly<Record<string, unknown>>;

/** A node that is ready to run: its text is checked, its escape chosen. */
export type Step =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'output'; readonly value: Expression; readonly escape: Escape }
  | Extract<Node, { kind: 'set' | 'break' | 'continue' }>
  | (Omit<Branch, 'body' | 'otherwise'> & {
      readonly body: readonly Step[];
      readonly otherwise: readonly Step[];
    });

/** Data of a size that nobody expected made more text than a mail holds. */
export class TemplateTooLarge extends Error {
  override readonly name = 'TemplateTooLarge';
}

/** The text that the steps give for `data`. @throws TemplateTooLarge */
export function runSteps(steps: readonly Step[], data: TemplateData): string {
  const out = new Output();
  run(steps, { dot: data, names: new Map([['', data]]), parent: undefined }, out);
  return out.text;
}

interface Frame {
  readonly dot: unknown;
  readonly names: Map<string, unknown>;
  readonly parent: Frame | undefined;
}

class Output {
  text = '';
  #steps = 0;

  add(text: string): void {
    this.text += text;
    if (this.text.length > maxTextLength) throw new TemplateTooLarge(`more than ${maxTextLength} characters`);
  }

  /** Loops within loops over what a client sent end here. */
  count(): void {
    this.#steps++;
    if (this.#steps > maxSteps) throw new TemplateTooLarge(`more than ${maxSteps} steps`);
  }
}

/** How a list ended: a loop hears of `break` and `continue`. */
type End = 'through' | 'break' | 'continue';

function run(steps: readonly Step[], frame: Frame, out: Output): End {
  for (const step of steps) {
    out.count();
    switch (step.kind) {
      case 'text':
        out.add(step.text);
        break;
      case 'output':
        out.add(step.escape(textOf([evaluate(step.value, frame)])));
        break;
      case 'set':
        assign(step.name, step.declares, evaluate(step.value, frame), frame);
        break;
      case 'break':
      case 'continue':
        return step.kind;
      case 'range':
        runRange(step, frame, out);
        break;
      default: {
        const value = evaluate(step.value, frame);
        const holds = isTrue(value);
        const dot = step.kind === 'with' && holds ? value : frame.dot;
        const end = run(holds ? step.body : step.otherwise, inner(frame, dot, [[step.variable, value]]), out);
        if (end !== 'through') return end;
      }
    }
  }
  return 'through';
}

type RangeStep = Extract<Step, { kind: 'if' | 'with' | 'range' }>;

function runRange(step: RangeStep, frame: Frame, out: Output): void {
  const items = itemsOf(evaluate(step.value, frame));
  if (items.length === 0) run(step.otherwise, inner(frame, frame.dot, []), out);
  for (const [key, item] of items) {
    out.count();
    const variables = [
      [step.indexVariable, key],
      [step.variable, item],
    ] as const;
    if (run(step.body, inner(frame, item, variables), out) === 'break') break;
  }
}

/** Lists in their order, objects by key, a number as often as it says (Go 1.22). */
function itemsOf(value: unknown): readonly (readonly [key: unknown, item: unknown])[] {
  if (Array.isArray(value)) return value.map((item: unknown, at) => [at, item]);
  if (typeof value === 'number') {
    if (value > maxSteps) throw new TemplateTooLarge(`more than ${maxSteps} steps`);
    return Array.from({ length: Math.max(0, Math.trunc(value)) || 0 }, (_, at) => [at, at]);
  }
  return typeof value === 'object' && value !== null ? Object.entries(value).sort(byKey) : [];
}

function inner(
  frame: Frame,
  dot: unknown,
  variables: readonly (readonly [name: string | undefined, value: unknown])[],
): Frame {
  const names = new Map<string, unknown>();
  for (const [name, value] of variables) if (name !== undefined) names.set(name, value);
  return { dot, names, parent: frame };
}

function assign(name: string, declares: boolean, value: unknown, frame: Frame): void {
  let holder: Frame | undefined = frame;
  if (!declares) while (holder !== undefined && !holder.names.has(name)) holder = holder.parent;
  (holder ?? frame).names.set(name, value);
}

function evaluate(expression: Expression, frame: Frame): unknown {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'dot':
      return frame.dot;
    case 'variable': {
      let holder: Frame | undefined = frame;
      while (holder !== undefined && !holder.names.has(expression.name)) holder = holder.parent;
      return holder?.names.get(expression.name);
    }
    case 'field':
      return fieldOf(evaluate(expression.of, frame), expression.name);
    case 'call':
      return functions
        .get(expression.name)
        ?.apply(expression.args.map((argument) => evaluate(argument, frame)));
  }
}

/** A mail of text; upstream reads templates of up to 1 MB. */
const maxTextLength = 2_000_000;
const maxSteps = 100_000;
