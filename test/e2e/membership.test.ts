/**
 * Goal: who is invited comes in, once and in time, and may come to decide and to invite; who leaves
 * is out until invited again.
 * Setup: three custodians; nodes that the genesis does not name, each made by its operator.
 * Check: by the commands that operators use, at the custodians and at the newcomers.
 */
import { copyFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import type { ClusterInviteOutput } from '../../src/core/api/contract/outputs.ts';
import { clientOf, putFinal, readLinearizable } from './support/api.ts';
import { Cluster, eventually, type Run } from './support/cluster.ts';
import { decide } from './support/governance.ts';
import { Newcomer } from './support/newcomer.ts';
import { rotate } from './support/rotate.ts';

type Members = Result<'cluster.members'>['members'];

let cluster: Cluster;
let carol: Newcomer;
let dave: Newcomer;
let erin: Newcomer;
beforeAll(async () => {
  [cluster, carol, dave, erin] = await Promise.all([
    Cluster.start({ size: 3 }),
    Newcomer.create('carol'),
    Newcomer.create('dave'),
    Newcomer.create('erin'),
  ]);
});
afterAll(async () => {
  await Promise.all([carol?.remove(), dave?.remove(), erin?.remove()]);
  await cluster?.stop();
});

const membersAt = async (node: number, all = false): Promise<Members> =>
  (await clientOf(cluster, node).call('cluster.members', { query: { all } })).members;

const isMemberAt = async (node: number, { nodeId }: Newcomer): Promise<boolean> =>
  (await membersAt(node)).some((member) => member.nodeId === nodeId);

const untilMember = (who: Newcomer, nodes = [1, 2, 3]): Promise<unknown> =>
  Promise.all(
    nodes.map((node) =>
      eventually(
        () => isMemberAt(node, who),
        (isMember) => isMember,
        `${who.name} is a member at node ${node}`,
      ),
    ),
  );

/** `cluster invite` by custodian `node`; returns the file. */
async function invite(node: number, who: Newcomer, name: string, ...argv: string[]) {
  const file = who.at(name);
  const bundle = await who.bundle();
  const reply = await cluster.json<ClusterInviteOutput>(
    ...[node, 'cluster', 'invite', bundle, '-o', file, ...argv],
  );
  expect(reply).toMatchObject({ nodeId: who.nodeId, inviter: cluster.node(node).nodeId });
  // O16: it is a secret, and shown to nobody who has a file of it.
  expect(reply.invitation).toBeNull();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  return { file, expiresAt: Date.parse(reply.expiresAt) };
}

function expectExit(run: Run, exit: number): void {
  expect(run.exit, `${String(run.stdout)}${run.stderr}`).toBe(exit);
}

/** A short document by a newcomer, final; its copies are for the custodians to keep. */
function put(who: Newcomer, path: string, text: string, timeout = '30s'): Promise<Run> {
  const file = who.at('document');
  writeFileSync(file, text);
  return who.run('kb', 'put', file, '--path', path, '--timeout', timeout);
}

async function textAt(who: Newcomer, path: string): Promise<string> {
  const run = await who.run('kb', 'get', path, '--timeout', '30s');
  expectExit(run, 0);
  return run.stdout.toString();
}

test('an invited agent comes in, writes and reads', async () => {
  await putFinal(cluster, 1, 'before', 'from before it came');
  const { file } = await invite(1, carol, 'invitation');
  const joined = await carol.json<{ joined: boolean }>('cluster', 'join', file);
  expect(joined.joined).toBe(true);
  expectExit(await carol.start(), 0);
  await untilMember(carol);
  const member = (await membersAt(2)).find(({ nodeId }) => nodeId === carol.nodeId)!;
  expect(member).toMatchObject({ name: 'carol', role: 'agent', status: 'member', frozen: false });
  expect(member.since).toBeGreaterThan(0);

  expectExit(await put(carol, 'by-carol', 'of carol'), 0);
  expect((await readLinearizable(cluster, 3, 'by-carol')).text).toBe('of carol');
  expect(await textAt(carol, 'before')).toBe('from before it came');
  const { height } = await putFinal(cluster, 2, 'after', 'from after it came');
  await carol.client(60_000).call('node.wait', {
    query: { for: `height=${height}`, timeoutMs: 60_000 },
  });
  expect(await textAt(carol, 'after')).toBe('from after it came');
  // An agent has no vote, and lets nobody in.
  const { validators } = await carol.client().call('consensus.validators');
  expect(validators.map(({ nodeId }) => nodeId)).not.toContain(carol.nodeId);
  expectExit(await carol.run('cluster', 'invite', dave.nodeId), 77);
});

test('an invitation is for one node, until it ends', async () => {
  const foreign = await dave.run('cluster', 'join', carol.at('invitation'));
  expectExit(foreign, 77);
  expect(foreign.stderr).toContain(`for another node: ${carol.nodeId}`);
  // Put into the home by hand, past the command.
  copyFileSync(carol.home.genesis, dave.home.genesis);
  copyFileSync(carol.at('invitation'), dave.home.invitation);
  expectExit(await dave.start(), 78);

  const { file, expiresAt } = await invite(2, dave, 'short', '--expires', '2s');
  expectExit(await dave.run('cluster', 'join', file), 0);
  await eventually(Date.now, (now) => now > expiresAt, 'the invitation has ended');
  expectExit(await dave.run('cluster', 'rejoin', file), 1);
  expectExit(await dave.start(), 0);
  await untilRefused(dave);
  expectExit(await dave.run('node', 'stop'), 0);

  const { file: good } = await invite(2, dave, 'good');
  expectExit(await dave.run('cluster', 'rejoin', good), 0);
  expectExit(await dave.start(), 0);
  await untilMember(dave);
});

/** It has dialled and was sent away; blocks went on, and it is in none of them. */
async function untilRefused(who: Newcomer): Promise<void> {
  await eventually(
    async () => (await who.client().call('peers.list')).peers,
    (peers) =>
      peers.length > 0 &&
      peers.every(({ state, attempts, address }) => {
        // O5: without a route to them, onion addresses are never dialled.
        const isTried = attempts > 1 || address?.startsWith('/onion3/') === true;
        return state !== 'connected' && isTried;
      }),
    `${who.name} is sent away`,
  );
  await putFinal(cluster, 1, `without-${who.name}`, 'a block without it');
  for (const node of [1, 2, 3]) expect(await isMemberAt(node, who)).toBe(false);
}

test('who leaves is cut off', async () => {
  const without = await carol.run('cluster', 'leave', '--no-input');
  expectExit(without, 2);
  const left = await carol.json<Result<'cluster.leave'>>('cluster', 'leave', '--yes');
  expect(left).toMatchObject({ nodeId: carol.nodeId, final: true });
  expect(left.height).toBeGreaterThan(0);
  for (const node of [1, 2, 3]) {
    await clientOf(cluster, node, 60_000).call('node.wait', {
      query: { for: `height=${left.height!}`, timeoutMs: 60_000 },
    });
    expect(await isMemberAt(node, carol)).toBe(false);
    await eventually(
      async () => (await membersAt(node, true)).find(({ nodeId }) => nodeId === carol.nodeId),
      (past) => past?.status === 'left' && !past.connected,
      `node ${node} has hung up`,
    );
  }
  await eventually(
    async () => (await carol.client().call('peers.list')).connected,
    (connected) => connected === 0,
    'carol talks to nobody',
  );
  const late = await put(carol, 'too-late', 'of who has left', '3s');
  expect(late.exit).not.toBe(0);
  // A custodian does not leave, and what carol wrote is still there.
  expectExit(await cluster.run(1, 'cluster', 'leave', '--yes'), 77);
  expect((await readLinearizable(cluster, 1, 'by-carol')).text).toBe('of carol');
  await expect(readLinearizable(cluster, 1, 'too-late')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('an invitation is used once; another one lets the agent in again', async () => {
  expectExit(await carol.run('node', 'stop'), 0);
  expectExit(await carol.start(), 0);
  await putFinal(cluster, 1, 'meanwhile', 'a block without carol');
  await carol.client().call('cluster.members', { query: {} });
  await eventually(
    async () => await carol.run('node', 'logs'),
    ({ stdout }) => stdout.toString().includes('its invitation has been used'),
    'carol is told that her invitation is used up',
  );
  for (const node of [1, 2, 3]) expect(await isMemberAt(node, carol)).toBe(false);
  expectExit(await carol.run('node', 'stop'), 0);

  const { file } = await invite(3, carol, 'again');
  expectExit(await carol.run('cluster', 'rejoin', file), 0);
  expectExit(await carol.start(), 0);
  await untilMember(carol);
  expectExit(await put(carol, 'by-carol', 'of carol, who is back'), 0);
  expect((await readLinearizable(cluster, 2, 'by-carol')).text).toBe('of carol, who is back');
});

test('a member whose peers all have moved, with other keys, finds them again', async () => {
  // The other agent would tell carol what has changed.
  for (const who of [carol, dave]) expectExit(await who.run('node', 'stop'), 0);
  await rotate(cluster, 1, ['identity', 'network'], { graceMs: 0 });
  for (const node of [2, 3]) await rotate(cluster, node, ['network'], { graceMs: 0 });
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
  for (const node of [1, 2, 3]) {
    await cluster.devnet.kill(String(node));
    expectExit(await cluster.start(node, ...listen), 0);
    await meet(node);
  }
  await cluster.connected();
  await putFinal(cluster, 2, 'moved', 'from where nobody knows');

  expectExit(await carol.start(), 0);
  await eventually(
    async () => (await carol.client().call('peers.list')).peers,
    (peers) => peers.every(({ state, attempts }) => state !== 'connected' && attempts > 1),
    'carol finds nobody',
  );
  const { file } = await invite(1, carol, 'whereabouts');
  expectExit(await carol.run('cluster', 'rejoin', file), 0);
  expectExit(await carol.run('node', 'stop'), 0);
  expectExit(await carol.start(), 0);
  await carol.client(60_000).call('node.wait', { query: { for: 'peers=3', timeoutMs: 60_000 } });
  await eventually(
    async () => await carol.run('kb', 'get', 'moved', '--timeout', '10s'),
    ({ exit, stdout }) => exit === 0 && stdout.toString() === 'from where nobody knows',
    'carol reads what became final meanwhile',
  );
  expectExit(await put(carol, 'by-carol', 'of carol, who found them'), 0);
  const { agents } = await clientOf(cluster, 3).call('cluster.members', { query: {} });
  expect(agents).toBe(2);
});

test('who came after the genesis becomes a custodian, votes, and invites', async () => {
  await decide(cluster, [1, 2, 3], [{ op: 'add', nodeId: carol.nodeId }]);
  await eventually(
    async () => await carol.client().call('consensus.status'),
    ({ role, isVoting, custodians }) => role === 'custodian' && isVoting && custodians === 4,
    'carol votes',
  );
  const file = erin.at('invitation');
  expectExit(await carol.run('cluster', 'invite', await erin.bundle(), '-o', file), 0);
  // The genesis does not know who has signed it.
  expectExit(await erin.run('cluster', 'join', file), 0);
  expectExit(await erin.start(), 0);
  await untilMember(erin);
  expectExit(await put(erin, 'by-erin', 'of erin'), 0);
  expect((await readLinearizable(cluster, 1, 'by-erin')).text).toBe('of erin');
});

/** Tells the other custodians where one listens now. */
async function meet(node: number): Promise<void> {
  const { addresses } = await clientOf(cluster, node).call('node.status');
  for (const other of [1, 2, 3].filter((one) => one !== node)) {
    for (const address of addresses) {
      await clientOf(cluster, other).call('peers.add', { body: { address } });
    }
  }
}
