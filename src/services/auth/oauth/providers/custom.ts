// In charge of: providers that administrators set up themselves: a row of the database as a provider.
// Source: supabase/auth internal/api/external.go `loadCustomProvider`, internal/api/provider/custom_oauth.go.
import { type FindProvider, UnsupportedProvider } from '../provider.ts';

export const findCustomProvider: FindProvider = async () => {
  throw new UnsupportedProvider('custom OAuth providers are disabled');
};
