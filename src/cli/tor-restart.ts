/**
 * What a restart may not change in passing: a node that was started with a route of its own
 * (`--route`, or a variable) would come back with that of the settings, and be seen by everybody
 * (docs/tor.md, O6). It restarts nothing.
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
    .then((client) => client.call('node.status'))
    .catch((error: unknown) => {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return undefined;
      throw error;
    });
  if (status === undefined) return;
  const { route } = status.tor;
  const { 'tor.route': next } = (await loadSettings(paths, env)).settings;
  if (!showsMore(route, next)) return;
  throw new AegisError(
    'BAD_CONFIG',
    `the node runs with the route ${route}, and the settings say ${next}: others would see more`,
    {
      hint: `Write down what you want: aegis tor route ${route}, or aegis tor route ${next}`,
      details: { key: 'tor.route' },
    },
  );
}
