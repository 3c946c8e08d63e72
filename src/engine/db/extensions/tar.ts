// In charge of: the members of a tar archive, as the packages for pglite bundle an extension.

export interface Member {
  readonly path: string;
  readonly bytes: Buffer;
}

const blockBytes = 512;

/** The plain files of an archive in the form `ustar`, whole. Source: POSIX.1-2017, pax, "ustar Interchange Format". */
export function readArchive(archive: Buffer): readonly Member[] {
  const members: Member[] = [];
  for (let at = 0; at + blockBytes <= archive.length; ) {
    const header = archive.subarray(at, at + blockBytes);
    if (header[0] === 0) break;
    const sizeBytes = Number.parseInt(text(header, 124, 12), 8);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0)
      throw new Error(`a tar header at ${at} has no size`);
    const type = text(header, 156, 1);
    const prefix = text(header, 345, 155);
    const start = at + blockBytes;
    if (type === '' || type === '0') {
      const name = text(header, 0, 100);
      members.push({
        path: prefix === '' ? name : `${prefix}/${name}`,
        bytes: archive.subarray(start, start + sizeBytes),
      });
    }
    at = start + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
  return members;
}

/** A field ends at its first NUL, or is full. */
function text(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end).trim();
}
