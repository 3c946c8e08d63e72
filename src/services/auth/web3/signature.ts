// In charge of: whether the wallet whose address a message names has signed it.
// Source: EIP-191, EIP-4361; supabase/auth internal/utilities/siwe/parser.go and siws/parser.go `VerifySignature`.
import { createPublicKey, verify } from 'node:crypto';
import type { Message } from './message.ts';

/** A signature is `0x`, r, s and the bit that says which of the keys it fits. */
export async function isSignedByEthereum({ raw, address }: Message, signatureHex: string): Promise<boolean> {
  // With the first wallet: most projects have none.
  const { secp256k1 } = await import('@noble/curves/secp256k1.js');
  const { keccak_256 } = await import('@noble/hashes/sha3.js');
  if (!/^0x[0-9a-f]{130}$/i.test(signatureHex)) return false;
  const bytes = Buffer.from(signatureHex.slice(2), 'hex');
  const last = bytes[64] ?? 0;
  const recovery = last >= 27 ? last - 27 : last;
  if (recovery > 3) return false;
  const text = Buffer.from(raw);
  const digest = keccak_256(
    Buffer.concat([Buffer.from(`\x19Ethereum Signed Message:\n${text.length}`), text]),
  );
  try {
    const signature = secp256k1.Signature.fromBytes(bytes.subarray(0, 64), 'compact');
    const key = signature.addRecoveryBit(recovery).recoverPublicKey(digest).toBytes(false);
    const recovered = Buffer.from(keccak_256(key.subarray(1)).subarray(12)).toString('hex');
    return `0x${recovered}` === address.toLowerCase();
  } catch {
    // Numbers that are on no curve.
    return false;
  }
}

/** By the text itself, or as a Ledger device signs it. */
export function isSignedBySolana(message: Message, signature: Buffer): boolean {
  const publicKey = decodeBase58(message.address);
  if (publicKey === undefined || publicKey.length !== keyBytes || signature.length !== 64) return false;
  const raw = Buffer.from(message.raw);
  return (
    isEd25519(publicKey, raw, signature) || isEd25519(publicKey, ofLedger(message, publicKey, raw), signature)
  );
}

/** Source: docs.anza.xyz/proposals/off-chain-message-signing. */
function ofLedger({ domain }: Message, publicKey: Buffer, raw: Buffer): Buffer {
  const application = Buffer.alloc(32);
  application.write(domain);
  const length = Buffer.alloc(2);
  // A message is 20 KiB at most, which two bytes hold.
  length.writeUInt16LE(raw.length);
  return Buffer.concat([
    Buffer.from('\xffsolana offchain', 'latin1'),
    Buffer.from([0]),
    application,
    Buffer.from([0, 1]),
    publicKey,
    length,
    raw,
  ]);
}

const keyBytes = 32;
/** What goes before 32 bytes to make them a public key for OpenSSL. Source: RFC 8410 section 4. */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

function isEd25519(publicKey: Buffer, message: Buffer, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: Buffer.concat([spkiPrefix, publicKey]), format: 'der', type: 'spki' });
    return verify(null, message, key, signature);
  } catch {
    return false;
  }
}

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Undefined for a text with characters that base58 does not have. An address is 44 characters at most. */
function decodeBase58(text: string): Buffer | undefined {
  let value = 0n;
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) return undefined;
    value = value * 58n + BigInt(digit);
  }
  const hex = value === 0n ? '' : value.toString(16);
  const zeros = /^1*/.exec(text)?.[0].length ?? 0;
  return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')]);
}
