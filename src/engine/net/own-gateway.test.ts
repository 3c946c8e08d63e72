// In charge of: which addresses mean the project's own gateway, and which do not.
import { describe, expect, it } from 'vitest';
import { isOwnGateway, type OwnGateway } from './own-gateway.ts';

const here: OwnGateway = { externalUrl: 'http://127.0.0.1:4000', ports: [4000, 54321], projectId: 'Shop' };
const outside: OwnGateway = { ...here, externalUrl: 'https://api.shop.example' };

describe('the project’s own gateway', () => {
  it.each([
    ['http://kong:8000/rest/v1/', true],
    ['http://KONG:8000/', true],
    ['http://kong:8001/', false],
    ['http://kong/', false],
    ['http://api.supabase.internal:8000/functions/v1/x', true],
    ['http://supabase_kong_Shop:8000/', true],
    ['http://supabase_kong_other:8000/', false],
    ['http://host.docker.internal:54321/', true],
    ['http://host.docker.internal:4000/', true],
    ['http://host.docker.internal:5432/', false],
    ['http://127.0.0.1:4000/', true],
    ['http://localhost:4000/', true],
    ['http://[::1]:4000/', true],
    ['http://localhost:54321/', false],
    ['http://localhost:5432/', false],
    ['http://169.254.169.254:4000/', false],
    ['http://kong.example:8000/', false],
  ])('%s: %s', (url, expected) => {
    expect(isOwnGateway(new URL(url), here)).toBe(expected);
  });

  it.each([
    ['https://api.shop.example/rest/v1/', true],
    ['http://api.shop.example/rest/v1/', false],
    ['https://api.shop.example:4000/', false],
    ['http://localhost:4000/', false],
  ])('behind a name of its own, %s: %s', (url, expected) => {
    expect(isOwnGateway(new URL(url), outside)).toBe(expected);
  });
});
