// In charge of: the headers by which a browser keeps an answer harmless that it renders, or that it takes for something else than it is.

type Headers = readonly (readonly [name: string, value: string])[];

/** Whose answer it is: of a service of data, of files that pages of other origins embed, or a page of our own. */
export type AnswerOf = 'api' | 'files' | 'page';

// Every answer. Without it a browser guesses a type from the bytes, and takes an uploaded text for a script.
// Source: WHATWG Fetch, "X-Content-Type-Options"; OWASP REST Security Cheat Sheet, "Security Headers".
const nosniff = ['x-content-type-options', 'nosniff'] as const;
// The URL of an answer may hold a token or a key, which no other site needs to hear of. Source: OWASP Secure Headers Project, ci/headers_add.json.
const noReferrer = ['referrer-policy', 'no-referrer'] as const;
const framedByNone = ['x-frame-options', 'DENY'] as const;
const forOwnOrigin = ['cross-origin-resource-policy', 'same-origin'] as const;
// A page that isolates itself (COEP: require-corp) embeds nothing without this word. Source: WHATWG Fetch, "Cross-Origin-Resource-Policy header".
const forAllOrigins = ['cross-origin-resource-policy', 'cross-origin'] as const;

// A document that a caller's data made: no script, no form, no frame, and an origin of its own, so that what a script could do with ours
// is nothing. Source: CSP Level 3, "sandbox" and "frame-ancestors".
const documentPolicy = [
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'; sandbox",
] as const;
// Pictures are shown by pages of other origins, in frames, too; their own style stays, their scripts do not.
const picturePolicy = [
  'content-security-policy',
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox",
] as const;

type Kind = 'plain' | 'document' | 'picture';

const ofPlain: Headers = [nosniff];
const ofPlainFile: Headers = [nosniff, forAllOrigins];
const ofPicture: Headers = [nosniff, picturePolicy, noReferrer, forAllOrigins];
const ofDocument: Headers = [nosniff, documentPolicy, noReferrer, forOwnOrigin, framedByNone];
// A page says itself what it may load.
const ofPage: Headers = [nosniff, noReferrer, forOwnOrigin, framedByNone];

/**
 * Gives what to add to an answer with certain headers. Whatever it says itself stays: a function that serves pages by its own
 * `Content-Security-Policy` (PostgREST's `response.headers`) goes on to work, and so do our pages. PDF gets no policy: a browser's viewer
 * does not run in a sandbox, and pages of other origins frame it.
 */
export function openSecureHeaders(isOn: () => boolean): (headers: Headers, answerOf: AnswerOf) => Headers {
  const kinds = new Map<string, Kind>();

  function kindOf(contentType: string): Kind {
    const known = kinds.get(contentType);
    if (known !== undefined) return known;
    const kind = readKind(contentType);
    if (kinds.size >= maxRemembered) kinds.clear();
    kinds.set(contentType, kind);
    return kind;
  }

  return (headers, answerOf) => {
    if (!isOn()) return none;
    let contentType: string | undefined;
    let hasOwn = false;
    for (const [name, value] of headers) {
      if (name.length === contentTypeLength && name.toLowerCase() === 'content-type') contentType = value;
      else if (guardedLengths.has(name.length) && guarded.has(name.toLowerCase())) hasOwn = true;
    }
    const added = headersOf(contentType === undefined ? 'plain' : kindOf(contentType), answerOf);
    if (!hasOwn) return added;
    const present = new Set(headers.map(([name]) => name.toLowerCase()));
    // A policy of its own says who may frame it; ours beside it would say otherwise. No page of ours may be framed.
    if (answerOf !== 'page' && present.has('content-security-policy')) present.add('x-frame-options');
    return added.filter(([name]) => !present.has(name));
  };
}

function headersOf(kind: Kind, answerOf: AnswerOf): Headers {
  switch (kind) {
    case 'plain':
      return answerOf === 'files' ? ofPlainFile : ofPlain;
    case 'picture':
      return ofPicture;
    case 'document':
      return answerOf === 'page' ? ofPage : ofDocument;
  }
}

const none: Headers = [];
const contentTypeLength = 12;
const maxRemembered = 256;
const guarded: ReadonlySet<string> = new Set([
  nosniff[0],
  noReferrer[0],
  framedByNone[0],
  forOwnOrigin[0],
  documentPolicy[0],
]);
/** Nearly every other header is told from them by its length alone. */
const guardedLengths: ReadonlySet<number> = new Set([...guarded].map(({ length }) => length));

/** Whether a browser runs scripts of such an answer when it is opened. Source: WHATWG MIME Sniffing, "XML MIME type", "HTML MIME type", "scriptable MIME type". */
function readKind(contentType: string): Kind {
  const essence = contentType.split(';', 1)[0]!.trim().toLowerCase();
  if (essence === 'image/svg+xml') return 'picture';
  return isDocument(essence) ? 'document' : 'plain';
}

function isDocument(essence: string): boolean {
  return documents.has(essence) || essence.endsWith('+xml');
}

// The last is a stream of documents, each with a type of its own.
const documents = new Set([
  'text/html',
  'text/xml',
  'application/xml',
  'text/xsl',
  'multipart/x-mixed-replace',
]);
