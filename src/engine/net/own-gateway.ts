// In charge of: which addresses mean the project's own gateway. Projects name it as a database in a container of upstream's would reach it.

export interface OwnGateway {
  /** Where clients reach it. */
  readonly externalUrl: string;
  /** The port that it has here, and the one of config.toml, which migrations and seeds name. */
  readonly ports: readonly number[];
  /** `project_id` of config.toml. */
  readonly projectId: string;
}

/**
 * Whether a URL means this process's own gateway. Sources: supabase/cli apps/cli-go/internal/utils/config.go `KongAliases`, `GetId`,
 * docker.go `DinDHost`; pkg/config: Kong listens on 8000 within its network.
 */
export function isOwnGateway(url: URL, own: OwnGateway): boolean {
  const external = URL.parse(own.externalUrl);
  if (external !== null && external.origin === url.origin) return true;
  const name = url.hostname.toLowerCase();
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  if (containerNames.has(name) || name === `supabase_kong_${own.projectId}`.toLowerCase())
    return port === containerPort;
  if (hostNames.has(name)) return own.ports.includes(port);
  // The same port by another name of this machine, where that is how clients reach it.
  const isHere = external !== null && loopbackNames.has(external.hostname) && loopbackNames.has(name);
  return isHere && port === own.ports[0];
}

const containerNames: ReadonlySet<string> = new Set(['kong', 'api.supabase.internal']);
const containerPort = 8000;
const hostNames: ReadonlySet<string> = new Set(['host.docker.internal', 'gateway.docker.internal']);
const loopbackNames: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
