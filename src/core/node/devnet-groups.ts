/**
 * Groups of nodes of a devnet that do not talk to each other: how they are written, what follows
 * for each node, and the call that makes it so. What a daemon does about it is `Host.isolate`.
 */
import { readFileSync } from 'node:fs';
import { Client } from '../api/client/client.ts';
import type { HomePaths } from '../config/home.ts';
import { AegisError } from '../errors.ts';
import { SECOND } from '../units.ts';

/** Names of nodes; every node is in exactly one group, and there are at least two. */
export type Groups = readonly (readonly string[])[];

interface Named {
  readonly name: string;
  readonly nodeId: string;
}

const wrong = (message: string): AegisError =>
  new AegisError('USAGE', message, { hint: 'Write groups like 1,2/3,4.' });

/**
 * `1,2/3,4`: numbers or names. The nodes that are not named make one more group, so that `4` alone
 * parts the fourth node from the rest.
 *
 * @param find throws `NOT_FOUND` for a node that is not there.
 * @throws {AegisError} `USAGE`, `NOT_FOUND`.
 */
export function parseGroups(
  text: string,
  nodes: readonly Named[],
  find: (which: string) => Named,
): Groups {
  const groups = text.split('/').map((group) =>
    group.split(',').map((which) => {
      if (which.trim() === '') throw wrong(`a group or a node is empty in ${text}`);
      return find(which.trim()).name;
    }),
  );
  const named = groups.flat();
  const twice = named.find((name, i) => named.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`${twice} is named twice in ${text}`);
  const rest = nodes.map((node) => node.name).filter((name) => !named.includes(name));
  if (rest.length > 0) groups.push(rest);
  if (groups.length < 2) throw wrong(`${text} leaves all nodes in one group`);
  return groups;
}

/** Node ids of the nodes that are in another group than `node`; none without groups. */
export function apartFrom(node: Named, groups: Groups | undefined, nodes: readonly Named[]) {
  const own = groups?.find((group) => group.includes(node.name));
  if (own === undefined) return [];
  return nodes.filter(({ name }) => !own.includes(name)).map(({ nodeId }) => nodeId);
}

const TIMEOUT_MS = 10 * SECOND;

/** Asks a running daemon. @throws {AegisError} `DAEMON_UNREACHABLE`, `TIMEOUT`. */
export async function isolate(paths: HomePaths, nodeIds: readonly string[]): Promise<void> {
  let token: string;
  try {
    token = readFileSync(paths.adminToken, 'utf8').trim();
  } catch (cause) {
    throw new AegisError('DAEMON_UNREACHABLE', `no daemon runs for ${paths.label}`, { cause });
  }
  const client = new Client({ socket: paths.socket, token, timeoutMs: TIMEOUT_MS });
  await client.call('peers.isolate', { body: { nodeIds: [...nodeIds] } });
}
