// In charge of: every kind of stored hash, by values that others published.
import { afterAll, describe, expect, it } from 'vitest';
import { parseEncoded, UnreadableHash } from './encoded.ts';
import { openHasher } from './hasher.ts';

const hasher = openHasher({ parallelism: 1, observe: () => undefined });
afterAll(() => hasher.close());

const firebase = (fields: string, salt = 'C0sHCg9ek77hsg==') =>
  `$fbscrypt$${fields}$${salt}$zKVTMvnWVw5BBOZNUdnsalx4c4c7y/w7IS5p6Ut2+CfEFFlz37J9huyQfov4iizN8dbjvEJlM5tQaJP84+hfTw==`;
const signerKey = 'ou9tdYTGyYm8kuR6Dt0Bp0kDuAYoXrK16mbZO4yGwAn3oLspjnN0/c41v8xZnO1n14J3MjKj1b2g6AUCAlFwMw==';

describe('hashes that others made', () => {
  it.each([
    // Source: supabase/auth internal/crypto/password_test.go.
    ['argon2i', 'test', '$argon2i$v=19$m=16,t=2,p=1$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g'],
    [
      'argon2id, two lanes',
      'test',
      '$argon2id$v=19$m=32,t=3,p=2$SFVpOWJ0eXhjRzVkdGN1RQ$RXnb8rh7LaDcn07xsssqqulZYXOM/EUCEFMVcAcyYVk',
    ],
    ['Firebase', 'mytestpassword', firebase(`v=1,n=14,r=8,p=1,ss=Bw==,sk=${signerKey}`)],
    ['$2y$, cost 4', 'test', '$2y$04$mIJxfrCaEI3GukZe11CiXublhEFanu5.ododkll1WphfSp6pn4zIu'],
    ['$2y$, cost 10', 'test', '$2y$10$srNl09aPtc2qr.0Vl.NtjekJRt/NxRxYQm3qd3OvfcKsJgVnr6.Ve'],
    // Source: firebase/scrypt README.md.
    [
      'Firebase, its own example',
      'user1password',
      '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==',
    ],
    // Source: golang/crypto bcrypt/bcrypt_test.go.
    ['$2a$', 'allmine', '$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'],
    ['$2$', 'allmine', '$2$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'],
    [
      '57 bytes',
      '012345678901234567890123456789012345678901234567890123456',
      '$2a$10$XajjQvNhvvRt5GSeFk1xFe5l47dONXg781AmZtd869sO8zfsHuw7C',
    ],
    // Source: jBCrypt TestBCrypt.java; Openwall crypt_blowfish wrapper.c; BCrypt.Net; twin-bcrypt for the salt with bits to spare.
    ['nothing', '', '$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.'],
    ['nothing, $2b$', '', '$2b$06$8eVN9RiU8Yki430X.wBvN.LWaqh2962emLVSVXVZIXJvDYLsV0oFu'],
    ['nothing, $2y$', '', '$2y$06$mFDtkz6UN7B3GZ2qi2hhaO3OFWzNEdcY84ELw6iHCPruuQfSAXBLK'],
    ['three characters', 'abc', '$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i'],
    ['Greek', 'ππππππππ', '$2a$10$.TtQJ4Jr6isd4Hp.mVfZeuh6Gws4rOQ/vdBczhDx.19NFK0Y84Dle'],
    [
      'more than 72 bytes',
      '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored',
      '$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui',
    ],
    ['unused bits in the salt', 'U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCCAVGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
    // Source: laravel/laravel database/factories/UserFactory.php.
    ["Laravel's", 'password', '$2y$10$92IXUNpkjO0rOQ5byMi.Ye4oKoEa3Ro9llC/.og/at2.uheWG/igi'],
  ])('%s', async (_, password, encoded) => {
    expect((await hasher.verify(password, encoded)).ok).toBe(true);
    // Another one at its beginning: bcrypt ignores what comes after 72 bytes.
    expect((await hasher.verify(`!${password}`, encoded)).ok).toBe(false);
  });

  it('compare also when something follows a bcrypt digest, as upstream', async () => {
    const encoded = '$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga\n';
    expect((await hasher.verify('allmine', encoded)).ok).toBe(true);
  });

  it('never match where the signer key or the digest is of another length', async () => {
    const own = firebase(`v=1,n=14,r=8,p=1,ss=Bw==,sk=${signerKey}`);
    expect((await hasher.verify('mytestpassword', firebase('v=1,n=14,r=8,p=1,ss=Bw=='))).ok).toBe(false);
    expect(
      (await hasher.verify('mytestpassword', `${own.slice(0, own.lastIndexOf('$'))}$ZGlmZmVyZW50aGFzaA==`))
        .ok,
    ).toBe(false);
  });
});

describe('hashes that are refused', () => {
  const argon2 = (head: string, tail = '$bGJRWThNOHJJTVBSdHl2dQ$NfEnUOuUpb7F2fQkgFUG4g') => `$${head}${tail}`;
  // Source: supabase/auth internal/crypto/password_test.go, internal/models/user_test.go; golang/crypto bcrypt/bcrypt_test.go.
  it.each([
    ['is neither argon2i nor argon2id', argon2('argon2d$v=19$m=16,t=2,p=1')],
    ['is not of version 19', argon2('argon2id$v=16$m=16,t=2,p=1')],
    ['has the parameter data', argon2('argon2id$v=19$m=16,t=2,p=1,data=abc')],
    ['has the parameter keyid', argon2('argon2id$v=19$m=16,t=2,p=1,keyid=abc')],
    ['parameter m that is not from 8 to 1048576', argon2('argon2id$v=19$m=4294967297,t=2,p=1')],
    ['parameter m that is not from 8 to 1048576', argon2('argon2id$v=19$m=1048577,t=2,p=1')],
    ['parameter m that is not from 16 to 1048576', argon2('argon2id$v=19$m=15,t=2,p=2')],
    ['parameter t that is not from 1 to 20', argon2('argon2id$v=19$m=16,t=4294967297,p=1')],
    ['parameter t that is not from 1 to 20', argon2('argon2id$v=19$m=16,t=0,p=1')],
    ['parameter p that is not from 1 to 16', argon2('argon2id$v=19$m=16,t=2,p=256')],
    ['parameter p that is not from 1 to 16', argon2('argon2id$v=19$m=16,t=2,p=0')],
    ['salt that is not Base64', argon2('argon2id$v=19$m=16,t=2,p=1', '$!!!$NfEnUOuUpb7F2fQkgFUG4g')],
    ['digest that is not Base64', argon2('argon2id$v=19$m=16,t=2,p=1', '$bGJRWThNOHJJTVBSdHl2dQ$!!!')],
    ['salt of less than 8 bytes', argon2('argon2id$v=19$m=16,t=2,p=1', '$$NfEnUOuUpb7F2fQkgFUG4g')],
    ['digest of less than 4 bytes', argon2('argon2id$v=19$m=16,t=2,p=1', '$bGJRWThNOHJJTVBSdHl2dQ$')],
    ['is not of the form $argon2id$', '$argon2id$test'],
    [
      'has more than 4096 characters',
      argon2(`argon2id$v=19$m=16,t=2,p=1`, `$${'a'.repeat(5000)}$NfEnUOuUpb7F2fQkgFUG4g`),
    ],
    ['is not of version 1', firebase(`v=2,n=14,r=8,p=1,ss=Bw==,sk=${signerKey}`)],
    ['parameter n that is not', firebase(`v=1,n=4294967297,r=8,p=1,ss=Bw==,sk=${signerKey}`)],
    ['parameter n that is not', firebase(`v=1,n=0,r=8,p=1,ss=Bw==,sk=${signerKey}`)],
    [
      'parameter r that is zero or too large',
      firebase(`v=1,n=14,r=18446744073709551617,p=1,ss=Bw==,sk=${signerKey}`),
    ],
    ['parameter r that is zero or too large', firebase(`v=1,n=14,r=0,p=1,ss=Bw==,sk=${signerKey}`)],
    ['parameter p that is not from 1 to 255', firebase(`v=1,n=14,r=8,p=256,ss=Bw==,sk=${signerKey}`)],
    ['parameter p that is not from 1 to 255', firebase(`v=1,n=14,r=8,p=0,ss=Bw==,sk=${signerKey}`)],
    ['would take more memory or time', firebase(`v=1,n=30,r=8,p=1,ss=Bw==,sk=${signerKey}`)],
    [
      'digest that is not Base64',
      firebase(`v=1,n=14,r=8,p=1,ss=Bw==,sk=${signerKey}`).replace(/[^$]+$/, '!!!'),
    ],
    ['salt that is not Base64', firebase(`v=1,n=14,r=8,p=1,ss=Bw==,sk=${signerKey}`, '!!!')],
    ['signer key that is not Base64', firebase('v=1,n=14,r=8,p=1,ss=Bw==,sk=!!!')],
    ['salt separator that is not Base64', firebase(`v=1,n=14,r=8,p=1,ss=!!!,sk=${signerKey}`)],
    ['is not of the form $fbscrypt$', '$fbscrypt$invalid'],
    ['is too short', 'plaintest_password'],
    ['is too short', '$2a$10$fooo'],
    ['is not of the form $2a$10$', '$3a$10$sssssssssssssssssssssshhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh'],
    ['is not of the form $2a$10$', '%2a$10$sssssssssssssssssssssshhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh'],
    ['has the cost 3', '$2a$03$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'],
    ['has the cost 17', '$2a$17$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'],
    ['has the cost 32', '$2a$32$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'],
  ])('%s', (reason, encoded) => {
    expect(() => parseEncoded(encoded)).toThrow(UnreadableHash);
    expect(() => parseEncoded(encoded)).toThrow(reason);
    // What is said goes to the log: the hash does not.
    expect(() => parseEncoded(encoded)).not.toThrow(encoded);
  });

  it('none at the bounds themselves', () => {
    expect(parseEncoded(argon2('argon2id$v=19$m=1048576,t=20,p=16'))).toMatchObject({ memoryKib: 1048576 });
    expect(parseEncoded('$2b$16$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga')).toMatchObject({
      cost: 16,
    });
    expect(parseEncoded(firebase(`v=1,n=20,r=8,p=1,ss=Bw==,sk=${signerKey}`))).toMatchObject({ n: 2 ** 20 });
  });
});
