// In charge of: the TCP port, found out before anything starts, so that a taken one leaves no half-started database behind.
import { createServer } from 'node:net';
import { errorCode, errorMessage, OperatorError } from '../../../base/errors.ts';
import { PortTaken } from './failures.ts';

/**
 * The port, if this machine lets us have it on `host`; for 0 a free one.
 * @throws OperatorError when it is taken or not ours to take.
 */
export function claimPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const trial = createServer();
    trial.once('error', (error) => {
      switch (errorCode(error)) {
        case 'EADDRINUSE':
          return reject(new PortTaken(host, port));
        case 'EACCES':
          return reject(
            new OperatorError(
              `The database's port ${port} is reserved for root.`,
              'Give one from 1024 up with --db-port or [db].port in supabase/config.toml.',
              error,
            ),
          );
        case 'EADDRNOTAVAIL':
        case 'ENOTFOUND':
        case 'EAI_AGAIN':
          return reject(
            new OperatorError(
              `"${host}" is not an address of this machine.`,
              'Give one with --db-host; the default is 127.0.0.1.',
              error,
            ),
          );
        default:
          return reject(
            new OperatorError(
              `The database cannot listen on "${host}" port ${port}: ${errorMessage(error)}.`,
              undefined,
              error,
            ),
          );
      }
    });
    trial.listen({ port, host, exclusive: true }, () => {
      const address = trial.address();
      const free = typeof address === 'object' && address !== null ? address.port : port;
      trial.close(() => resolve(free));
    });
  });
}
