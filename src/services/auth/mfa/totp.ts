// In charge of: codes of authenticator apps: a secret, the address that an app reads it from, that address as a picture, and which time step a
// code is of. Source: supabase/auth internal/api/mfa.go `enrollTOTPFactor`, `verifyTOTPFactor`; pquerna/otp; RFC 6238.
import { randomBytes } from 'node:crypto';
import { Secret, TOTP } from 'otpauth';
import QRCode from 'qrcode-svg';

const digits = 6;
const periodSeconds = 30;
const secretBytes = 20;
/** Steps before and after the present one that are taken as well. Source: mfa.go `Skew`. */
const skew = 1;
/** A picture of more does not exist; every app that reads one would give up before. Source: ISO/IEC 18004, version 40-H. */
const maxAddressBytes = 1200;

export interface TotpKey {
  /** In base32. */
  readonly secret: string;
  readonly uri: string;
}

/** Undefined: the names are too long for a picture. */
export function makeTotpKey(issuer: string, account: string): TotpKey | undefined {
  const secret = new Secret({ buffer: new Uint8Array(randomBytes(secretBytes)).buffer }).base32;
  const label = `${part(issuer)}:${part(account)}`;
  const uri = `otpauth://totp/${label}?algorithm=SHA1&digits=${digits}&issuer=${part(issuer)}&period=${periodSeconds}&secret=${secret}`;
  return Buffer.byteLength(uri) > maxAddressBytes ? undefined : { secret, uri };
}

/** Go leaves these two as they are. Source: Go net/url `shouldEscape`. */
const part = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':').replaceAll('%40', '@');

/** The time step that a code is of; undefined when it is of none near now. */
export function stepOf(secret: string, code: string, nowMs: number): number | undefined {
  const token = code.trim();
  if (!/^\d{6}$/.test(token)) return undefined;
  const delta = TOTP.validate({
    token,
    secret: Secret.fromBase32(secret),
    algorithm: 'SHA1',
    digits,
    period: periodSeconds,
    timestamp: nowMs,
    window: skew,
  });
  return delta === null ? undefined : Math.floor(nowMs / 1000 / periodSeconds) + delta;
}

/** Source: mfa.go `DefaultQRSize`. */
const modulePixels = 3;
const marginModules = 4;

/**
 * SVG. Clients put it behind `data:image/svg+xml;utf-8,` as it is, so it has no `#`, which would end the address, and is short: one line for
 * each run of dark modules.
 */
export function renderQrCode(text: string): string {
  const { qrcode } = new QRCode({ content: text, ecl: 'H' });
  const count = qrcode.getModuleCount();
  const size = (count + 2 * marginModules) * modulePixels;
  const lines: string[] = [];
  for (let row = 0; row < count; row++)
    for (let column = 0; column < count; column++) {
      if (!qrcode.isDark(row, column)) continue;
      let length = 1;
      while (column + length < count && qrcode.isDark(row, column + length)) length++;
      const [x, y] = [column + marginModules, row + marginModules].map((at) => at * modulePixels);
      lines.push(`M${x},${y}h${length * modulePixels}v${modulePixels}h-${length * modulePixels}z`);
      column += length;
    }
  return `<?xml version="1.0"?>
<svg width="${size}" height="${size}" xmlns="http://www.w3.org/2000/svg">
<rect width="${size}" height="${size}" style="fill:white;stroke:none"/>
<path d="${lines.join('')}" style="fill:black;stroke:none"/>
</svg>
`;
}
