// In charge of: a batch of messages as a request brings it, and what is wrong with it, in the words of upstream's changesets.
// Source: supabase/realtime lib/realtime/tenants/batch_broadcast.ex; Ecto.Changeset (cast, cast_embed, validate_required).
import { isNumberAsWritten } from '../../../base/exact-json.ts';
import { isTooDeep } from '../depth.ts';

export interface BatchMessage {
  readonly topic: string;
  readonly isPrivate: boolean;
  /** The whole payload of the frame, as JSON. */
  readonly json: string;
}

export type Batch =
  | { readonly kind: 'batch'; readonly messages: readonly BatchMessage[] }
  | { readonly kind: 'wrong'; readonly errors: unknown };

const blank = "can't be blank";
const invalid = 'is invalid';

export function parseBatch(body: unknown, isTooLarge: (sizeBytes: number) => boolean): Batch {
  const given = isObject(body) ? body.messages : undefined;
  if (given === undefined || given === null) return wrong(blank);
  // A form's way to write a list: `{"0": …, "1": …}`.
  const list = isObject(given) ? Object.values(given) : given;
  if (!Array.isArray(list) || !list.every(isObject)) return wrong(invalid);
  if (list.length === 0) return wrong(blank);
  const parsed = list.map((message) => parseMessage(message, isTooLarge));
  const errors = parsed.map((each) => ('errors' in each ? each.errors : {}));
  if (errors.some((each) => Object.keys(each).length > 0))
    return { kind: 'wrong', errors: { messages: errors } };
  return { kind: 'batch', messages: parsed.filter((each) => 'topic' in each) };
}

const wrong = (sentence: string): Batch => ({ kind: 'wrong', errors: { messages: [sentence] } });

function parseMessage(
  message: Readonly<Record<string, unknown>>,
  isTooLarge: (sizeBytes: number) => boolean,
): BatchMessage | { readonly errors: Readonly<Record<string, readonly string[]>> } {
  const topic = textOf(message.topic);
  const event = textOf(message.event);
  const payload = payloadOf(message.payload);
  const isPrivate = flagOf(message.private);
  const id = textOf(message.id);
  const sentences: readonly (readonly [name: string, sentence: string | undefined])[] = [
    ['topic', sentenceFor(topic)],
    ['event', sentenceFor(event)],
    ['payload', sentenceFor(payload) ?? sizeSentence(payload, isTooLarge)],
    ['private', isPrivate === undefined ? invalid : undefined],
    ['id', id === 'invalid' ? invalid : undefined],
  ];
  const errors = Object.fromEntries(
    sentences.flatMap(([name, sentence]) => (sentence === undefined ? [] : [[name, [sentence]]])),
  );
  if (typeof topic === 'string' || typeof event === 'string' || typeof payload === 'string')
    return { errors };
  if (Object.keys(errors).length > 0) return { errors };
  const meta = typeof id === 'string' ? '' : `,"meta":{"id":${JSON.stringify(id.value)}}`;
  return {
    topic: topic.value,
    isPrivate: isPrivate === true,
    json: `{"type":"broadcast","event":${JSON.stringify(event.value)},"payload":${payload.value}${meta}}`,
  };
}

type Cast = 'missing' | 'invalid' | { readonly value: string };

function sentenceFor(value: Cast): string | undefined {
  if (value === 'missing') return blank;
  return value === 'invalid' ? invalid : undefined;
}

function sizeSentence(payload: Cast, isTooLarge: (sizeBytes: number) => boolean): string | undefined {
  return typeof payload !== 'string' && isTooLarge(Buffer.byteLength(payload.value))
    ? 'Payload size exceeds tenant limit'
    : undefined;
}

/** Text of spaces alone is nothing. Source: Ecto.Changeset.cast, `:empty_values`. */
function textOf(value: unknown): Cast {
  if (value === undefined || value === null) return 'missing';
  if (typeof value !== 'string') return 'invalid';
  return value.trim() === '' ? 'missing' : { value };
}

/** An object, as JSON. */
function payloadOf(value: unknown): Cast {
  if (value === undefined || value === null) return 'missing';
  return isObject(value) && !isTooDeep(value) ? { value: JSON.stringify(value) } : 'invalid';
}

/** Source: Ecto.Type.cast of a boolean. */
function flagOf(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return false;
  if (value === true || value === 'true' || value === '1') return true;
  return value === false || value === 'false' || value === '0' ? false : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !isNumberAsWritten(value);
}
