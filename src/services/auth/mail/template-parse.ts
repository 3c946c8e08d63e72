// In charge of: from the words of a template to its tree. Source: Go, text/template package documentation and parse/parse.go.
import { formatProblem, functions } from './template-functions.ts';
import { type Branch, complaint, type Expression, type Node, type Source } from './template-tree.ts';
import { cutTemplate, type Piece, type Word } from './template-words.ts';

/** @throws OperatorError with line and column, for what Go refuses and for what is not in the subset. */
export function parseTree(source: Source): readonly Node[] {
  const pieces = cutTemplate(source);
  let next = 0;
  let depth = 0;

  /** Nodes until an `end` or `else` at this level; that action's words come back too. */
  function parseList(scope: Scope): { readonly nodes: Node[]; readonly stop: Reader | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const piece = pieces[next++];
      if (piece === undefined) return { nodes, stop: undefined };
      if (piece.kind === 'text') {
        nodes.push(piece);
        continue;
      }
      const reader = readerOf(source, piece);
      const word = reader.peek();
      if (word?.kind === 'name' && (word.text === 'end' || word.text === 'else'))
        return { nodes, stop: reader };
      nodes.push(parseAction(reader, scope));
    }
  }

  function parseAction(reader: Reader, scope: Scope): Node {
    const word = reader.peek();
    const { at } = reader;
    if (word === undefined) throw complaint(source, at, 'this action is empty.');
    if (word.kind === 'name') {
      if (word.text === 'if' || word.text === 'with' || word.text === 'range') {
        reader.take();
        return parseBranch(word.text, reader, scope);
      }
      if (word.text === 'break' || word.text === 'continue') {
        reader.take();
        reader.end();
        if (!scope.inRange) throw complaint(source, at, `{{${word.text}}} stands outside of a {{range}}.`);
        return { kind: word.text, at };
      }
      if (unsupportedActions.has(word.text)) {
        throw complaint(source, at, `{{${word.text}}} is not taken here: a template is one text.`);
      }
    }
    const assigned = reader.assignment();
    if (assigned !== undefined) {
      if (assigned.names.length > 1) throw complaint(source, at, 'only {{range}} sets two variables.');
      const value = parsePipeline(reader, scope);
      reader.end();
      const name = assigned.names[0]!;
      if (assigned.declares) scope.names.add(name);
      else if (!isKnown(scope, name)) throw complaint(source, at, `the variable "$${name}" is not declared.`);
      return { kind: 'set', name, declares: assigned.declares, value, at };
    }
    const value = parsePipeline(reader, scope, true);
    reader.end();
    return { kind: 'output', value, at };
  }

  function parseBranch(kind: Branch['kind'], reader: Reader, outer: Scope): Branch {
    const { at } = reader;
    depth++;
    if (depth > maxDepth)
      throw complaint(source, at, `more than ${maxDepth} levels stand within each other.`);
    const scope = childOf(outer, kind === 'range');
    const assigned = reader.assignment();
    if (assigned?.names.length === 2 && kind !== 'range') {
      throw complaint(source, at, 'only {{range}} sets two variables.');
    }
    if (assigned !== undefined && !assigned.declares) {
      throw complaint(source, at, `{{${kind}}} declares its variable with ":=".`);
    }
    const value = parsePipeline(reader, outer);
    reader.end();
    for (const name of assigned?.names ?? []) scope.names.add(name);
    const [first, second] = assigned?.names ?? [];
    const variables = {
      variable: second ?? first,
      indexVariable: second === undefined ? undefined : first,
    };
    const { nodes, stop } = parseList(scope);
    if (stop === undefined) throw complaint(source, at, `{{${kind}}} has no {{end}}.`);
    const otherwise = isElse(stop) ? parseElse(kind, stop, scope, at) : [];
    if (!isElse(stop)) closeEnd(stop);
    depth--;
    return { kind, value, ...variables, body: nodes, otherwise, at };
  }

  function parseElse(kind: Branch['kind'], stop: Reader, scope: Scope, at: number): readonly Node[] {
    stop.take();
    const word = stop.peek();
    // Go has `else if` since 1.0 and `else with` since 1.23; both end with the one {{end}}.
    const elseScope = childOf(scope, false);
    if (word?.kind === 'name' && (word.text === 'if' || word.text === 'with') && kind !== 'range') {
      stop.take();
      return [parseBranch(word.text, stop, elseScope)];
    }
    stop.end();
    const rest = parseList(elseScope);
    if (rest.stop === undefined) throw complaint(source, at, `{{${kind}}} has no {{end}}.`);
    if (isElse(rest.stop)) throw complaint(source, rest.stop.at, 'there is an {{else}} already.');
    closeEnd(rest.stop);
    return rest.nodes;
  }

  function closeEnd(reader: Reader): void {
    reader.take();
    reader.end();
  }

  /** `a | f b`: what stands before a bar is the last argument of what follows. */
  function parsePipeline(reader: Reader, scope: Scope, isOutput = false): Expression {
    let value = parseCommand(reader, scope, undefined);
    for (;;) {
      const bar = reader.peek();
      if (bar?.kind !== '|') return value;
      reader.take();
      // What was escaped and then changed is not escaped any more. Source: html/template, "predefined escaper … disallowed".
      if (isOutput && value.kind === 'call' && predefinedEscapers.has(value.name)) {
        throw complaint(source, bar.at, `"${value.name}" may only stand at the end of a chain.`);
      }
      value = parseCommand(reader, scope, value);
    }
  }

  function parseCommand(reader: Reader, scope: Scope, piped: Expression | undefined): Expression {
    const word = reader.peek();
    if (word === undefined || word.kind === '|' || word.kind === ')') {
      throw complaint(source, word?.at ?? reader.at, 'a value is missing here.');
    }
    if (word.kind === 'name' && !constants.has(word.text)) {
      reader.take();
      const args: Expression[] = [];
      for (;;) {
        const following = reader.peek();
        if (following === undefined || following.kind === '|' || following.kind === ')') break;
        args.push(parseOperand(reader, scope));
      }
      if (piped !== undefined) args.push(piped);
      return call(word.text, args, word.at);
    }
    const value = parseOperand(reader, scope);
    const following = reader.peek();
    if (following !== undefined && following.kind !== '|' && following.kind !== ')') {
      throw complaint(source, following.at, 'a value takes no arguments: only a function does.');
    }
    if (piped !== undefined) throw complaint(source, word.at, 'after "|" stands a function.');
    return value;
  }

  function call(name: string, args: readonly Expression[], at: number): Expression {
    const known = functions.get(name);
    if (known === undefined) {
      throw complaint(
        source,
        at,
        `there is no function "${name}".`,
        `Functions here: ${[...functions.keys()].join(', ')}. A value of the data has a dot before it: .${name}`,
      );
    }
    if (args.length < known.min || args.length > known.max) {
      throw complaint(
        source,
        at,
        `"${name}" does not take ${args.length} argument${args.length === 1 ? '' : 's'}.`,
      );
    }
    const first = args[0];
    if (name === 'printf' && first?.kind === 'literal' && typeof first.value === 'string') {
      const problem = formatProblem(first.value);
      if (problem !== undefined) throw complaint(source, at, problem);
    }
    return { kind: 'call', name, args };
  }

  function parseOperand(reader: Reader, scope: Scope): Expression {
    const word = reader.take();
    let value = parseTerm(word, reader, scope);
    for (;;) {
      const following = reader.peek();
      if (following?.kind !== 'field' || !following.joined) return value;
      reader.take();
      value = { kind: 'field', of: value, name: following.text };
    }
  }

  function parseTerm(word: Word | undefined, reader: Reader, scope: Scope): Expression {
    switch (word?.kind) {
      case 'field':
        return { kind: 'field', of: { kind: 'dot' }, name: word.text };
      case 'dot':
        return { kind: 'dot' };
      case 'literal':
        return { kind: 'literal', value: word.value };
      case 'variable':
        if (!isKnown(scope, word.text))
          throw complaint(source, word.at, `the variable "$${word.text}" is not declared.`);
        return { kind: 'variable', name: word.text };
      case 'name': {
        const constant = constants.get(word.text);
        if (constant !== undefined) return { kind: 'literal', value: constant.value };
        if (keywords.has(word.text)) throw complaint(source, word.at, `"${word.text}" cannot stand here.`);
        return call(word.text, [], word.at);
      }
      case '(': {
        depth++;
        if (depth > maxDepth)
          throw complaint(source, word.at, `more than ${maxDepth} levels stand within each other.`);
        const value = parsePipeline(reader, scope);
        const close = reader.take();
        if (close?.kind !== ')') throw complaint(source, word.at, 'this parenthesis is not closed.');
        depth--;
        return value;
      }
      case undefined:
        throw complaint(source, reader.at, 'a value is missing here.');
      case ')':
      case '|':
      case ',':
      case ':=':
      case '=':
        throw complaint(source, word.at, `"${word.kind}" cannot stand here.`);
    }
  }

  const { nodes, stop } = parseList({ names: new Set(['']), parent: undefined, inRange: false });
  if (stop !== undefined) {
    throw complaint(source, stop.at, `{{${isElse(stop) ? 'else' : 'end'}}} belongs to nothing.`);
  }
  return nodes;
}

interface Scope {
  readonly names: Set<string>;
  readonly parent: Scope | undefined;
  readonly inRange: boolean;
}

function childOf(parent: Scope, isRange: boolean): Scope {
  return { names: new Set(), parent, inRange: isRange || parent.inRange };
}

function isKnown(scope: Scope, name: string): boolean {
  return scope.names.has(name) || (scope.parent !== undefined && isKnown(scope.parent, name));
}

interface Reader {
  /** Where the action begins. */
  readonly at: number;
  peek(): Word | undefined;
  take(): Word | undefined;
  /** `$x :=`, `$x =`, `$i, $x :=`; undefined when no such thing stands here. */
  assignment(): { readonly names: readonly string[]; readonly declares: boolean } | undefined;
  /** @throws OperatorError when something follows. */
  end(): void;
}

function readerOf(source: Source, { words, at }: Extract<Piece, { kind: 'action' }>): Reader {
  let next = 0;
  return {
    at,
    peek: () => words[next],
    take: () => words[next++],
    assignment() {
      const [first, second, third, fourth] = words.slice(next, next + 4);
      if (first?.kind !== 'variable') return undefined;
      if (second?.kind === ':=' || second?.kind === '=') {
        next += 2;
        return { names: [first.text], declares: second.kind === ':=' };
      }
      if (second?.kind !== ',') return undefined;
      if (third?.kind !== 'variable' || (fourth?.kind !== ':=' && fourth?.kind !== '='))
        throw complaint(source, second.at, 'after "," stands a variable and ":=".');
      next += 4;
      return { names: [first.text, third.text], declares: fourth.kind === ':=' };
    },
    end() {
      const word = words[next];
      if (word !== undefined)
        throw complaint(source, word.at, 'this action has something at its end that does not belong there.');
    },
  };
}

function isElse(reader: Reader): boolean {
  const word = reader.peek();
  return word?.kind === 'name' && word.text === 'else';
}

/** A template of people is a handful of levels deep; what is parsed by recursion has a bound. */
const maxDepth = 200;
const predefinedEscapers: ReadonlySet<string> = new Set(['html', 'urlquery']);
const unsupportedActions: ReadonlySet<string> = new Set(['define', 'template', 'block']);
const keywords: ReadonlySet<string> = new Set([
  ...unsupportedActions,
  'if',
  'else',
  'end',
  'range',
  'with',
  'break',
  'continue',
]);
const constants: ReadonlyMap<string, { readonly value: boolean | null }> = new Map([
  ['true', { value: true }],
  ['false', { value: false }],
  ['nil', { value: null }],
]);
