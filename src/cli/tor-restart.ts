/**
 * What a restart may not change in passing: a node that was started with a route of its own
 * (`--route`, or a variable) would come back with that of the settings, and be seen by everybody
 * (docs/tor.md, O6); one with `--tor-daemon spawn` would look for another Tor, and not come back
 * where there is none. It restarts nothing.
 */
import type { Client } from '../core/api/client/client.ts';
import type { Environment, HomePaths } from '../core/config/home.ts';
import { loadSettings } from '../core/config/settings.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import { showsMore } from './tor.ts';

/** @throws {AegisError} `BAD_CONFIG` when the node that runs would show more than it does. */
export async function checkStaysHidden(
  connect: () => Promise<Pick<Client, 'call'>>,
  paths: HomePaths,
  env: Environment,
): Promise<void> {
  const status = await connect()
    .then((client) => client.call('tor.status'))
    .catch((error: unknown) => {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return undefined;
      throw error;
    });
  if (status === undefined) return;
  const { route, daemon } = status;
  const { settings, origins } = await loadSettings(paths, env);
  const next = settings['tor.route'];
  if (!showsMore(route, next)) {
    if (daemon?.kind !== 'spawn' || origins['tor.daemon'] !== 'default' || next === 'off') return;
    throw new AegisError('BAD_CONFIG', 'the node runs a Tor of its own, and no setting says so', {
      hint: 'Write down what you want: aegis config set tor.daemon spawn, or system',
      details: { key: 'tor.daemon' },
    });
  }
  throw new AegisError(
    'BAD_CONFIG',
    `the node runs with the route ${route}, and the settings say ${next}: others would see more`,
    {
      hint: `Write down what you want: aegis tor route ${route}, or aegis tor route ${next}`,
      details: { key: 'tor.route' },
    },
  );
}
