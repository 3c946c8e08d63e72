// In charge of: what may stand in a header of an answer.

/** Source: RFC 9110 section 5.5; Node's lib/_http_common.js `checkInvalidHeaderChar`. */
export function isHeaderValue(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 255 || code === 127 || (code < 32 && code !== 9)) return false;
  }
  return true;
}
