// In charge of: the settings of what carries news between the processes of one database, `[fanout]`.
import { parsed, text } from '../../base/settings.ts';
import { type BrokerAddress, brokerUrlExpectation, parseBrokerUrl } from './address.ts';

export const fanoutSettings = {
  broker: parsed<BrokerAddress | 'none'>(
    {
      key: 'fanout.url',
      env: ['MILLRACE_FANOUT_URL'],
      default: 'none',
      secret: true,
      sentence:
        'A NATS server, or a Valkey or Redis, that carries broadcasts, presence and changes of rows between the processes of one DATABASE_URL: `nats://`, `redis://` or `valkey://`, encrypted `tls://`, `rediss://` or `valkeys://`, with user and password in it where it wants them. Empty: Postgres carries them.',
    },
    brokerUrlExpectation,
    (raw) => (raw === '' ? 'none' : parseBrokerUrl(raw)),
  ),
  prefix: parsed(
    {
      key: 'fanout.prefix',
      env: ['MILLRACE_FANOUT_PREFIX'],
      default: '',
      sentence:
        "What the names of subjects and channels begin with at the broker: letters, digits, `-`, `_`, and dots between them, the same for all processes of one database. Empty: `millrace.` and twelve hexadecimal digits made from the database server's own number and the database's name. A copy of a server, made from its files, needs one of its own.",
    },
    'words of letters, digits, "-" and "_" with dots between them, at most 100 characters',
    (raw) =>
      typeof raw === 'string' && raw.length <= 100 && /^(?:[\w-]+(?:\.[\w-]+)*)?$/.test(raw)
        ? raw
        : undefined,
  ),
  caPath: text({
    key: 'fanout.tls_ca_path',
    env: ['MILLRACE_FANOUT_TLS_CA_PATH'],
    default: '',
    sentence:
      "The certificates in PEM form that the broker's own has to lead to, relative to the supabase folder. Empty: those that Node trusts.",
  }),
} as const;
