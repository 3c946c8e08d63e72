// In charge of: mail templates in a subset of Go's html/template. Everything that cannot be is said when a template is loaded; nothing at send.
import { chooseEscape } from './template-escape.ts';
import { parseTree } from './template-parse.ts';
import {
  afterValue,
  joined,
  nudged,
  type Place,
  PlaceProblem,
  passText,
  startPlace,
} from './template-place.ts';
import { runSteps, type Step, type TemplateData } from './template-run.ts';
import { type Branch, complaint, type Expression, type Node, type Source } from './template-tree.ts';

export interface Template {
  /**
   * The text for `data`, of JSON values. What is not there is empty; two values of different kinds are unequal.
   * @throws TemplateTooLarge
   */
  render(data: TemplateData): string;
  /** The names of the data that it uses: `Email` for `{{ .Email }}` and `{{ $.Email }}`. */
  readonly names: ReadonlySet<string>;
}

/**
 * Loads a template. `html`: each value is escaped for the place where it stands, and HTML comments are left out, as html/template
 * does; `text`: values stay as they are (a subject, an SMS).
 * @throws OperatorError with name, line and column for what Go refuses or the subset does not have.
 */
export function loadTemplate(source: Source, kind: 'html' | 'text'): Template {
  const nodes = parseTree(source);
  const names = new Set<string>();
  const steps = new Loader(source, kind, names).load(nodes);
  return {
    names,
    render(data) {
      return runSteps(steps, data);
    },
  };
}

/** Where the places go through the tree. A loop's body has to end where it begins. */
class Loader {
  readonly #source: Source;
  readonly #kind: 'html' | 'text';
  readonly #names: Set<string>;
  /** Where `break` and `continue` of the loops around leave from. */
  readonly #leaving: Place[][] = [];

  constructor(source: Source, kind: 'html' | 'text', names: Set<string>) {
    this.#source = source;
    this.#kind = kind;
    this.#names = names;
  }

  load(nodes: readonly Node[]): readonly Step[] {
    const { steps, place } = this.#list(nodes, startPlace, true);
    if (place !== undefined && place.in !== 'text') {
      throw complaint(this.#source, this.#source.text.length, `the template ends ${described(place)}.`);
    }
    return steps;
  }

  /** `place` is undefined after `break` and `continue`: nobody comes there. */
  #list(
    nodes: readonly Node[],
    from: Place,
    atRoot: boolean,
  ): { readonly steps: readonly Step[]; readonly place: Place | undefined } {
    const steps: Step[] = [];
    let place: Place | undefined = from;
    for (const node of nodes) {
      if (place === undefined) break;
      switch (node.kind) {
        case 'text': {
          const passed = this.#text(node, place);
          place = passed.place;
          if (passed.text !== '') steps.push({ kind: 'text', text: passed.text });
          break;
        }
        case 'output': {
          this.#note(node.value, atRoot);
          const { step, after } = this.#output(node, place);
          steps.push(step);
          place = after;
          break;
        }
        case 'set':
          this.#note(node.value, atRoot);
          steps.push(node);
          break;
        case 'break':
        case 'continue':
          this.#leaving.at(-1)?.push(place);
          steps.push(node);
          place = undefined;
          break;
        default: {
          this.#note(node.value, atRoot);
          const branch = this.#branch(node, place, atRoot);
          steps.push(branch.step);
          place = branch.place;
        }
      }
    }
    return { steps, place };
  }

  #text(node: Extract<Node, { kind: 'text' }>, place: Place) {
    if (this.#kind === 'text') return { place, text: node.text };
    try {
      return passText(place, node.text);
    } catch (error) {
      if (!(error instanceof PlaceProblem)) throw error;
      throw complaint(this.#source, node.at + error.at, `${error.message}.`);
    }
  }

  #output(
    node: Extract<Node, { kind: 'output' }>,
    from: Place,
  ): { readonly step: Step; readonly after: Place } {
    const { value, at } = node;
    if (this.#kind === 'text')
      return { step: { kind: 'output', value, escape: (text) => text }, after: from };
    const place = nudged(from);
    const last = value.kind === 'call' && predefinedEscapers.has(value.name) ? value : undefined;
    const choice = chooseEscape(place, last?.name);
    if (choice.kind === 'problem') throw complaint(this.#source, at, choice.problem);
    const inner: Expression =
      last !== undefined && choice.replaces ? { kind: 'call', name: 'print', args: last.args } : value;
    return { step: { kind: 'output', value: inner, escape: choice.escape }, after: afterValue(place) };
  }

  #branch(node: Branch, from: Place, atRoot: boolean) {
    const isAtRoot = atRoot && node.kind === 'if';
    if (node.kind === 'range') this.#leaving.push([]);
    const body = this.#list(node.body, from, isAtRoot);
    let end = body.place;
    if (node.kind === 'range') {
      for (const left of this.#leaving.pop() ?? []) end = this.#meet(node, end, left);
      // The second round begins where the first has ended, and has to end there as well.
      if (end !== undefined) end = this.#meet(node, end, this.#again(node, end));
      this.#checkLoop(node, from, end);
    }
    const otherwise = this.#list(node.otherwise, from, atRoot);
    const { body: _body, otherwise: _otherwise, ...facts } = node;
    return {
      step: { ...facts, body: body.steps, otherwise: otherwise.steps },
      place: this.#meet(node, end, otherwise.place),
    };
  }

  /** The escapes were chosen for the first round. They are right for the others where a URL has come no further than its path. */
  #checkLoop(node: Branch, from: Place, end: Place | undefined): void {
    if (end === undefined || end.url === from.url) return;
    const { inner: fromInner, in: fromIn } = nudged(from);
    const stays = end.in === fromIn && end.inner === fromInner && nudged(from).url === 'start';
    if (stays && (end.url === 'path' || end.url === 'unknown')) return;
    throw complaint(
      this.#source,
      node.at,
      'the body of this {{range}} ends in another part of a URL than it begins in.',
    );
  }

  #again(node: Branch, from: Place): Place | undefined {
    this.#leaving.push([]);
    const { place } = this.#list(node.body, from, false);
    const left = this.#leaving.pop() ?? [];
    return [place, ...left].reduce((a, b) => (a === undefined ? b : this.#meet(node, a, b)), undefined);
  }

  #meet(node: Branch, a: Place | undefined, b: Place | undefined): Place | undefined {
    if (a === undefined) return b;
    if (b === undefined) return a;
    const place = joined(a, b);
    if (place !== undefined) return place;
    throw complaint(
      this.#source,
      node.at,
      `the branches of this {{${node.kind}}} end in different places: one ${described(a)}, one ${described(b)}.`,
      'Let each branch close what it opens: tags, quotes, comments.',
    );
  }

  /** Notes which of the data's names a value uses; within `with` and `range` the dot is something else. */
  #note(value: Expression, atRoot: boolean): void {
    if (value.kind === 'call') for (const argument of value.args) this.#note(argument, atRoot);
    if (value.kind !== 'field') return;
    const isRoot =
      (value.of.kind === 'dot' && atRoot) || (value.of.kind === 'variable' && value.of.name === '');
    if (isRoot) this.#names.add(value.name);
    else this.#note(value.of, atRoot);
  }
}

function described(place: Place): string {
  const attribute = place.attribute === '' ? '' : ` "${place.attribute}"`;
  if (place.in === 'text') return 'in text';
  if (place.in === 'attribute value') return `in the value of the attribute${attribute}`;
  if (place.in === 'comment') return 'in a comment';
  return place.element === ''
    ? 'in a tag'
    : `in <${place.element}>${attribute === '' ? '' : ` at${attribute}`}`;
}

const predefinedEscapers: ReadonlySet<string> = new Set(['html', 'urlquery']);
