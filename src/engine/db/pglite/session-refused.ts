// In charge of: the error that ends a session, with what its client is told.
import type { ErrorFields } from './wire.ts';

export class SessionRefused extends Error {
  override readonly name = 'SessionRefused';
  readonly fault: ErrorFields;

  constructor(fault: ErrorFields) {
    super(fault.message);
    this.fault = fault;
  }
}
