/** Opens the client for the daemon of a home. Loaded only by commands that talk to a daemon. */
import { readFileSync } from 'node:fs';
import { Client } from '../core/api/client/client.ts';
import type { HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';

/** @throws DAEMON_UNREACHABLE when the daemon has left no token: it is not running. */
export function connect(home: HomePaths, timeoutMs: number): Client {
  return new Client({ socket: home.socket, token: readToken(home), timeoutMs });
}

/** Prefers the token that may change things; a reader of the home may have only the other. */
function readToken(home: HomePaths): string {
  for (const file of [home.adminToken, home.readToken]) {
    try {
      return readFileSync(file, 'utf8').trim();
    } catch {
      // The next one, or the answer below.
    }
  }
  throw new AegisError('DAEMON_UNREACHABLE', `no daemon runs for ${home.label}`);
}
