// In charge of: the signature of OAuth 1.0a, held against an example that is published.
import { describe, expect, it } from 'vitest';
import { once, signedHeader } from './oauth1.ts';

describe('signedHeader', () => {
  // Source: oauth.net OAuth Core 1.0 Revision A, appendix A.5 "Accessing Protected Resources".
  it('signs the example of the specification', () => {
    const url = new URL('http://photos.example.net/photos?file=vacation.jpg&size=original');
    const by = {
      key: 'dpf43f3p2l4k3l03',
      secret: 'kd94hf93k423kf44',
      token: 'nnch734d00sl2jdk',
      tokenSecret: 'pfkkdhi9sl3r4s00',
    };
    const header = signedHeader('GET', url, by, { nonce: 'kllo9940pd9333jh', seconds: 1_191_242_096 });
    expect(header).toContain('oauth_signature="tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D"');
    expect(header).toBe(
      'OAuth oauth_consumer_key="dpf43f3p2l4k3l03", oauth_nonce="kllo9940pd9333jh", oauth_signature="tR3%2BTy81lMeYAr%2FFid0kMTYa%2FWM%3D", oauth_signature_method="HMAC-SHA1", oauth_timestamp="1191242096", oauth_token="nnch734d00sl2jdk", oauth_version="1.0"',
    );
  });

  it('is never the same twice', () => {
    expect(once(1000).nonce).not.toBe(once(1000).nonce);
    expect(once(1999).seconds).toBe(1);
  });
});
