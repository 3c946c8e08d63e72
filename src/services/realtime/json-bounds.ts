// In charge of: JSON that costs much more to read than its bytes say, told by the bytes alone: nested without end, or made of nothing but empty lists.
// `JSON.parse` takes a second and more for five megabytes of either, in which nobody else is answered.
import { maxDepth } from './depth.ts';

/** Objects and lists in one message. */
const maxContainers = 100_000;

const [quote, backslash] = [0x22, 0x5c];
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/** What is wrong with it; undefined: it may be read. @param deepest how deep it may be nested, where what is in it is looked at again */
export function unreadableBy(json: Buffer, deepest = maxDepth): string | undefined {
  let depth = 0;
  let containers = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case quote:
        at = endOfText(json, at + 1);
        break;
      case openList:
      case openObject:
        depth += 1;
        containers += 1;
        if (depth > deepest) return 'it is nested too deeply';
        if (containers > maxContainers) return `it has more than ${maxContainers} objects and lists`;
        break;
      case closeList:
      case closeObject:
        depth -= 1;
        break;
    }
  }
  return undefined;
}

/** Where the quote stands that ends it. */
function endOfText(json: Buffer, from: number): number {
  for (let end = json.indexOf(quote, from); end >= 0; end = json.indexOf(quote, end + 1)) {
    let escapes = 0;
    while (json[end - 1 - escapes] === backslash) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return json.length;
}
