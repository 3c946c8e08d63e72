// In charge of: the names of encrypted blobs: each says by which key it is encrypted, so that no row and no request has to.
import { randomUUID } from 'node:crypto';

const pattern = /^[0-9a-f-]{36}-e-([0-9a-f]{16})$/;

/** A new one. @param keyId sixteen hexadecimal digits */
export const sealedId = (keyId: string): string => `${randomUUID()}-e-${keyId}`;

/** Undefined: a blob of that name is not encrypted. */
export const keyIdIn = (id: string): string | undefined => pattern.exec(id)?.[1];
