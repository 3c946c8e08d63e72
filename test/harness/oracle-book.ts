// In charge of: the oracle's book: what was committed, in that order, and for each listener what it should be told of it.
import type pg from 'pg';
import type { Expected } from './oracle-compare.ts';
import type { OracleListener, Row, Segment } from './oracle-listeners.ts';
import type { Shape, Shapes } from './oracle-shapes.ts';
import { fillTwins, type Line, type LogRow, verdictsOf } from './oracle-verdicts.ts';

export interface Book {
  count(): number;
  /** Takes over what was committed by these transactions, in their order, while the tables were as `shapes` says. */
  take(shapes: Shapes, order: readonly string[]): Promise<void>;
  /** What is not closed yet may be told by what holds now. */
  judge(shapes: Shapes): Promise<void>;
  /** What was judged is decided: what comes is judged by itself. */
  close(): void;
  expectedOf(listener: OracleListener): readonly Expected[];
}

interface Open {
  readonly from: number;
  readonly to: number;
  /** By each judgement, for each change from `from` on. */
  readonly judgements: (readonly (Line | undefined)[])[];
}

export function openBook(
  client: pg.Client,
  listeners: readonly OracleListener[],
  numberOf: (id: string) => number | undefined,
): Book {
  const rows: LogRow[] = [];
  const expected = new Map<OracleListener, Expected[]>(listeners.map((one) => [one, []]));
  /** From where on a segment is not closed. */
  const begins = new Map<Segment, number>();
  const open = new Map<Segment, Open>();
  let lastSeq = 0;

  const behind = (id: string | undefined) => (id === undefined ? 0 : (numberOf(id) ?? -1) + 1);

  async function take(shapes: Shapes, order: readonly string[]): Promise<void> {
    const byOid = new Map<number, Shape>([...shapes.values()].map((shape) => [shape.oid, shape]));
    const large = `'{bytes,large,big}'::text[]`;
    const { rows: found } = await client.query<{
      seq: string;
      kind: LogRow['kind'];
      rel: number;
      old: Row;
      new: Row;
    }>(
      `select seq, kind, rel::int as rel, old - ${large} as old, new - ${large} as new from public.log where seq > $1
       order by array_position($2::text[], tx), seq`,
      [lastSeq, order],
    );
    const fresh = found.map(({ seq, kind, rel, old, new: row }): LogRow => {
      lastSeq = Math.max(lastSeq, Number(seq));
      // Sound: every table that has the trigger has a shape.
      return { seq: Number(seq), kind, shape: byOid.get(rel)!, old, new: row };
    });
    await fillTwins(client, fresh);
    rows.push(...fresh);
  }

  async function judge(shapes: Shapes): Promise<void> {
    for (const listener of listeners) {
      for (const segment of listener.segments) {
        const from = begins.get(segment) ?? behind(segment.after);
        const to = segment.upTo === undefined ? rows.length : behind(segment.upTo);
        if (to <= from) continue;
        const known = open.get(segment) ?? { from, to, judgements: [] };
        open.set(segment, known);
        known.judgements.push(await verdictsOf(client, shapes, listener, rows.slice(from, to)));
      }
    }
  }

  return {
    count: () => rows.length,
    take,
    judge,
    close() {
      for (const listener of listeners) {
        for (const segment of listener.segments) {
          const { from, to, judgements } = open.get(segment) ?? { from: 0, to: 0, judgements: [] };
          const list = expected.get(listener)!;
          // Who has come back is told again of what is behind the last that it saw: what it was judged by before does not count.
          if (to > from) while ((list.at(-1)?.at ?? -1) >= from) list.pop();
          for (let at = from; at < to; at++) {
            const given = judgements.map((lines) => lines[at - from]);
            const lines = given.filter((line) => line !== undefined);
            if (lines.length > 0) list.push({ at, lines, isOptional: lines.length < given.length });
          }
          begins.set(segment, rows.length);
        }
        listener.segments = listener.segments.filter(({ upTo }) => upTo === undefined);
      }
      open.clear();
    },
    expectedOf: (listener) => expected.get(listener) ?? [],
  };
}
