/** The daemon of the home, or the way free for one. */
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { NodeStatus } from '../../core/api/contract/node.ts';
import { checkSocketPath } from '../../core/config/home.ts';
import { loadSettings } from '../../core/config/settings.ts';
import { hasCode } from '../../core/errors.ts';
import { statIfPresent } from '../../core/files.ts';
import type { LockState } from '../../core/storage/home-lock.ts';
import { connect } from '../connect.ts';
import { type Check, fail, fixed, ok, type Patient, warn } from './check.ts';

/** What the daemon says of itself, or why it does not. */
export type Answer = { readonly status: NodeStatus } | { readonly error: unknown };

export async function askDaemon({ paths, timeoutMs }: Patient): Promise<Answer> {
  try {
    return { status: await connect(paths, timeoutMs).call('node.status') };
  } catch (error) {
    return { error };
  }
}

export function checkDaemon({ version }: Patient, lock: LockState, answer: Answer): Check {
  const pid = lock.holder === undefined ? '' : ` (process ${lock.holder.pid})`;
  if ('error' in answer) {
    if (!lock.held) return ok('daemon', 'none runs');
    const reason = answer.error instanceof Error ? answer.error.message : String(answer.error);
    const hint = 'It may be starting: aegis node wait. Else look at its log: aegis node logs';
    return fail('daemon', `a daemon holds the home${pid} and does not answer: ${reason}`, hint);
  }
  const { status } = answer;
  if (!lock.held) {
    const hint = 'Stop it and start it again; somebody has removed its lock.';
    return fail('daemon', `process ${status.pid} answers without holding the home`, hint);
  }
  const message = `${status.state}, version ${status.version}, process ${status.pid}`;
  if (status.version === version) return ok('daemon', message);
  return warn('daemon', `${message}; this program is ${version}`, 'Use it: aegis node restart');
}

/** A daemon that was killed leaves its socket and tokens behind; a new one replaces them. */
export async function checkSocket({ paths, fix }: Patient, lock: LockState): Promise<Check> {
  checkSocketPath(paths.socket);
  if (lock.held) return ok('socket', paths.socket);
  const left: string[] = [];
  const mayLeave = [paths.socket, paths.readToken, paths.adminToken, `${paths.lock}.json`];
  for (const path of mayLeave) if ((await statIfPresent(path)) !== undefined) left.push(path);
  if (left.length === 0) return ok('socket', 'the path is free');
  const message = `left behind by a daemon that was killed: ${left.join(', ')}`;
  if (!fix) return warn('socket', message, 'Remove them: aegis doctor --fix');
  for (const path of left) await rm(path, { force: true });
  return fixed('socket', `removed: ${left.join(', ')}`);
}

/** Whether the node could listen where its settings say. Asks only while no daemon does. */
export async function checkPorts({ paths, env }: Patient, lock: LockState): Promise<Check> {
  const { settings } = await loadSettings(paths, env);
  const wanted = settings['node.listen'];
  if (lock.held) return ok('ports', wanted.join(' '));
  for (const address of wanted) {
    const [, , host = '', , port = ''] = address.split('/');
    if (!/^\/ip[46]\/[^/]+\/tcp\/\d+$/.test(address) || port === '0') continue;
    const reason = await listenProblem(host, Number(port));
    if (reason !== undefined) {
      const hint = 'Stop what listens there, or choose another port: aegis config set node.listen';
      return fail('ports', `cannot listen on ${address}: ${reason}`, hint);
    }
  }
  return ok('ports', wanted.join(' '));
}

function listenProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

export async function checkPeers({ paths, timeoutMs }: Patient): Promise<Check> {
  try {
    const { peers, total, connected } = await connect(paths, timeoutMs).call('peers.list');
    const message = `${connected} of ${total} connected`;
    const away = peers.filter(({ state }) => state !== 'connected');
    if (away.length === 0) return ok('peers', message);
    const names = away.map(({ name, nodeId, address }) => name ?? nodeId ?? address);
    const hint = `See why: aegis peers why ${names[0] ?? ''}`.trim();
    return warn('peers', `${message}; missing: ${names.join(', ')}`, hint);
  } catch (error) {
    if (hasCode(error, 'DAEMON_UNREACHABLE')) return ok('peers', 'not asked: no daemon');
    throw error;
  }
}

/** Causes that a person should hear of, though nobody waits at the moment. */
const TROUBLES = [
  ...['no-quorum', 'doubt', 'key-missing', 'catch-up', 'refused', 'evidence'],
  ...['protocol', 'liars'],
];

/** Whether this node can take part in what the custodians decide. */
export async function checkConsensus({ paths, timeoutMs }: Patient): Promise<Check> {
  const status = await connect(paths, timeoutMs).call('consensus.status');
  const of = (causes: readonly string[]): string =>
    status.why
      .filter(({ cause }) => causes.includes(cause))
      .map(({ text }) => text)
      .join('; ');
  const stolen = of(['key-elsewhere']);
  if (stolen !== '') {
    return fail('consensus', stolen, 'Stop the other daemon, or this one: one key, one daemon.');
  }
  const broken = of(['diverged', 'conflict']);
  if (broken !== '') {
    return fail('consensus', broken, 'Compare with other nodes first: aegis peers audit NODE');
  }
  const trouble = of(TROUBLES);
  if (trouble !== '') return warn('consensus', trouble, 'See: aegis consensus status --why');
  const { height, connected, custodians, role } = status;
  const reach = `${connected} of ${custodians} custodians in reach`;
  return ok('consensus', `${role}, final height ${height}, ${reach}`);
}
