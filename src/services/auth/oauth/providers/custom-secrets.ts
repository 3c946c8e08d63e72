// In charge of: the secrets of providers that administrators set up: wrapped by the master key, never in auth's own table.
// Source: supabase/auth internal/models/custom_oauth_provider.go `SetClientSecret`, which wraps them where its keys are set.
import type { Db } from '../../../../engine/db/db.ts';
import type { Ctx } from '../../../../engine/service/contract.ts';

export interface ProviderSecrets {
  put(id: string, secret: string): Promise<void>;
  /** Undefined: there is none. @throws SecretUnreadable */
  find(id: string): Promise<string | undefined>;
  remove(id: string): Promise<void>;
}

const purpose = 'provider';

export function openProviderSecrets(db: Pick<Db, 'asOwner'>, secrets: Ctx['secrets']): ProviderSecrets {
  const asKeeper: <T>(work: Parameters<typeof db.asOwner<T>>[1]) => Promise<T> = (work) =>
    db.asOwner('millrace_admin', work);
  return {
    put: (id, secret) =>
      asKeeper(async (client) => {
        // In a transaction, because the master key must not change in between.
        await client.query('begin');
        try {
          await secrets.put(client, purpose, id, Buffer.from(secret));
          await client.query('commit');
        } catch (error) {
          await client.query('rollback');
          throw error;
        }
      }),
    find: (id) => asKeeper(async (client) => (await secrets.find(client, purpose, id))?.toString()),
    async remove(id) {
      await asKeeper((client) => secrets.remove(client, purpose, id));
    },
  };
}
