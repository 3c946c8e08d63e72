// In charge of: places in the write-ahead log, and the ids of changes that are made of them.

/** `0/16B3748`, as Postgres writes a place in its log, as a number. */
export function parsePlace(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** The same the other way round. */
export function renderPlace(place: bigint): string {
  return `${(place >> 32n).toString(16).toUpperCase()}/${(place & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** The first part of the ids of all changes of one transaction: the place of its commit, in digits that sort as text. */
export function placeDigits(place: bigint): string {
  return place.toString(16).toUpperCase().padStart(16, '0');
}

/**
 * The id of a transaction's change number `index`. Beyond six digits a letter says how many there are, and letters come behind digits: also the
 * millionth change is behind those before it, as text.
 */
export function changeId(digits: string, index: number): string {
  const number = String(index);
  if (number.length <= indexDigits) return `${digits}-${number.padStart(indexDigits, '0')}`;
  return `${digits}-${String.fromCharCode(firstLetter + number.length - indexDigits)}${number}`;
}

/** Whether it can be the id of a change. */
export function isChangeId(text: string): boolean {
  return /^[0-9A-F]{16}-(\d{6}|[a-z]\d{7,})$/.test(text);
}

const indexDigits = 6;
/** `a` stands before a number of seven digits. */
const firstLetter = 'a'.charCodeAt(0) - 1;
