/** Who may come in: checks that need nothing but the request's head. */
import type { IncomingMessage } from 'node:http';
import { AegisError } from '../../errors.ts';
import type { Scope } from '../contract/routes.ts';
import { scopeOf, type Tokens } from './tokens.ts';

/** A refusal whose status is not that of its code. */
export class Refusal {
  readonly error: AegisError;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(error: AegisError, status: number, headers: Readonly<Record<string, string>> = {}) {
    this.error = error;
    this.status = status;
    this.headers = headers;
  }
}

/**
 * On a TCP port a web page that the operator has open can reach this server, by its address or by
 * a name of the attacker's that points here (DNS rebinding). So the Host header must be one of
 * ours, and a request that a browser marks with an Origin is refused.
 *
 * @param hosts allowed values; `undefined` on a unix socket, which no browser reaches.
 * @returns the scope that the token gives.
 */
export function admit(
  request: IncomingMessage,
  rules: { hosts: ReadonlySet<string> | undefined; tokens: Tokens },
): Scope | Refusal {
  const { host, origin, authorization } = request.headers;
  if (rules.hosts !== undefined) {
    if (!rules.hosts.has((host ?? '').toLowerCase()) || origin !== undefined) {
      return new Refusal(new AegisError('DENIED', 'this host or origin is not served'), 403);
    }
  }
  const scope = scopeOf(authorization, rules.tokens);
  if (scope !== undefined) return scope;
  const error = new AegisError('DENIED', 'the API token is missing or not valid', {
    hint: 'The daemon writes new tokens at each start; read them again.',
  });
  return new Refusal(error, 401, { 'www-authenticate': 'Bearer' });
}

/** The names under which a loopback port may be addressed. */
export function hostsOf(port: number): ReadonlySet<string> {
  return new Set(['localhost', '127.0.0.1', '[::1]'].map((name) => `${name}:${port}`));
}
