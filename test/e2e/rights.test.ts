/**
 * Goal: whoever may not is refused, each with its own reason, and nothing of it is executed.
 * Setup: three custodians and an agent; a namespace, a quota, intents that are signed elsewhere.
 * Check: codes and exit statuses by the commands of operators, and the state before and after.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Keystore } from '../../src/core/keys/keystore.ts';
import type { Change } from '../../src/core/model/change.ts';
import { type Genesis, openGenesis } from '../../src/core/model/genesis.ts';
import { createIntent, type IntentContext } from '../../src/core/model/intent.ts';
import { Names } from '../../src/core/model/names.ts';
import { clientOf, putFinal, readLinearizable } from './support/api.ts';
import { Cluster, type Run } from './support/cluster.ts';
import { decide } from './support/governance.ts';

const AGENT = 4;
const DIGEST = 'cd'.repeat(32);

let cluster: Cluster;
let genesis: Genesis;
let agent: Keystore;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4, agents: 1 });
  const home = cluster.home(AGENT);
  genesis = openGenesis(new Uint8Array(readFileSync(home.genesis)));
  const passphrase = readFileSync(cluster.passphraseFile, 'utf8').trim();
  agent = await Keystore.open({ dir: home.keys, passphrase });
});
afterAll(async () => {
  agent?.[Symbol.dispose]();
  await cluster?.stop();
});

const idOf = (node: number): string => cluster.node(node).nodeId;

/** The tip as it is on a custodian: what is refused at once makes no block. */
async function tip(): Promise<{ height: number; digest: string | null }> {
  const { height, digest } = await clientOf(cluster, 1).call('consensus.status');
  return { height, digest };
}

function expectRefused(run: Run, exit: number, code: string): void {
  expect(run.exit, run.stderr).toBe(exit);
  const { error } = JSON.parse(run.stdout.toString()) as { error: { code: string; hint?: string } };
  expect(error.code).toBe(code);
  expect(error.hint, code).toBeDefined();
}

/** Signed with the key of the agent, by somebody who has a copy of its home. */
function signed(sequence: number, changes: Change[], context: IntentContext = genesis): string {
  const { nodeId: author } = agent;
  const signer = agent.identity(agent.current.keys.identityKey)!;
  const fields = { author, sequence, time: Date.now(), changes, keyEpoch: 0 };
  return Buffer.from(createIntent(fields, context, signer).bytes).toString('base64');
}

function handIn(...intents: string[]): Promise<Run> {
  const file = join(cluster.dir, 'signed');
  writeFileSync(file, intents.join('\n'));
  return cluster.run(1, 'intent', 'submit', '--signed', file, '--json');
}

const anchorOf = (label: string): Change => ({
  op: 'anchor',
  label,
  digest: new Uint8Array(randomBytes(32)),
});

async function put(node: number, path: string): Promise<Run> {
  const file = join(cluster.dir, 'document');
  writeFileSync(file, `${path} by ${node}`);
  return await cluster.run(node, 'kb', 'put', file, '--path', path, '--replicas', '1', '--json');
}

test('who has no right in a namespace is refused, until it is granted one', async () => {
  await decide(cluster, [1, 2, 3], [{ op: 'namespace', path: 'plans', owners: [idOf(2)] }]);
  const rights = await cluster.json<{ mayWrite: boolean; namespace: { path: string } }>(
    ...([AGENT, 'kb', 'rights', 'plans/a'] as const),
  );
  expect(rights).toMatchObject({ mayWrite: false, namespace: { path: 'plans' } });
  const before = await tip();
  expectRefused(await put(AGENT, 'plans/a'), 77, 'NOT_ALLOWED');
  // A custodian has no more rights than others.
  expectRefused(await put(1, 'plans/a'), 77, 'NOT_ALLOWED');
  expectRefused(
    await cluster.run(AGENT, 'kb', 'grant', 'plans', idOf(AGENT), '--json'),
    ...([77, 'NOT_ALLOWED'] as const),
  );
  expect(await tip()).toEqual(before);
  expect((await cluster.run(3, 'kb', 'stat', 'plans/a')).exit).toBe(66);

  const granted = await cluster.run(2, 'kb', 'grant', 'plans', idOf(AGENT), '--as', 'writer');
  expect(granted.exit, granted.stderr).toBe(0);
  expect((await put(AGENT, 'plans/a')).exit).toBe(0);
  expect((await cluster.run(2, 'kb', 'revoke', 'plans', idOf(AGENT))).exit).toBe(0);
  expectRefused(await put(AGENT, 'plans/b'), 77, 'NOT_ALLOWED');
  // Given, taken, and given again by the same words.
  expect((await cluster.run(2, 'kb', 'grant', 'plans', idOf(AGENT))).exit).toBe(0);
  expect((await put(AGENT, 'plans/b')).exit).toBe(0);
  expect((await readLinearizable(cluster, 1, 'plans/b')).text).toBe(`plans/b by ${AGENT}`);
});

test('an intent is for one cluster, once, and in its order', async () => {
  const next =
    1 + (await clientOf(cluster, AGENT).call('intents.list', { query: {} })).intents.length;
  const other = { clusterId: `aegisc1${'a'.repeat(52)}`, names: new Names(new Uint8Array(32)) };
  const before = await tip();
  expectRefused(await handIn(signed(next, [], other)), 65, 'OTHER_CLUSTER');
  expectRefused(await handIn(signed(next + 1, [anchorOf('gap')])), 65, 'OUT_OF_ORDER');
  const forged = Buffer.from(signed(next, [anchorOf('forged')]), 'base64');
  forged[forged.length - 1]! ^= 1;
  expectRefused(await handIn(forged.toString('base64')), 65, 'BAD_SIGNATURE');
  expect(await tip()).toEqual(before);

  const good = signed(next, [anchorOf('relayed')]);
  const taken = await handIn(good);
  expect(taken.exit, `${String(taken.stdout)}${taken.stderr}`).toBe(0);
  expect(JSON.parse(taken.stdout.toString())).toMatchObject({ intents: [{ result: 'done' }] });
  const after = await tip();
  expectRefused(await handIn(good), 73, 'REPLAYED');
  expectRefused(await handIn(signed(next, [anchorOf('again')])), 73, 'REPLAYED');
  expect(await tip()).toEqual(after);
  const { anchors } = await cluster.json<{ anchors: { label: string }[] }>(
    ...([2, 'intent', 'anchors', idOf(AGENT)] as const),
  );
  expect(anchors.map(({ label }) => label)).toEqual(['relayed']);
});

test('an anchor follows the one before it', async () => {
  const anchor = (...argv: string[]): Promise<Run> =>
    cluster.run(AGENT, 'intent', 'anchor', 'ledger', ...argv, '--json');
  expect((await anchor(DIGEST)).exit).toBe(0);
  const wrong = await anchor('ef'.repeat(32), '--previous', 'none');
  expectRefused(wrong, 1, 'CHECK_FAILED');
  expect((await anchor('ef'.repeat(32), '--previous', DIGEST)).exit).toBe(0);
});

test('an agent that is over its quota is refused', async () => {
  const before = await cluster.json<{ quotas: { changesPerHour: { used: number } }[] }>(
    ...([1, 'cluster', 'quota', idOf(AGENT)] as const),
  );
  const { used } = before.quotas[0]!.changesPerHour;
  expect(used).toBeGreaterThan(0);
  const quota = { op: 'quota' as const, nodeId: idOf(AGENT), changesPerHour: used + 1 };
  await decide(cluster, [1, 2, 3], [quota]);
  expect((await put(AGENT, 'free/1')).exit).toBe(0);
  const full = await tip();
  expectRefused(await put(AGENT, 'free/2'), 75, 'OVER_QUOTA');
  expect(await tip()).toEqual(full);
  // Custodians have none.
  await putFinal(cluster, 3, 'free/3', 'by a custodian');
  expect((await cluster.run(2, 'kb', 'stat', 'free/2')).exit).toBe(66);
});

test('a peer verifies its chain and signs what it found', async () => {
  const audit = await cluster.json<{ verdict: string; agrees: boolean; height: number }>(
    ...([AGENT, 'peers', 'audit', idOf(1)] as const),
  );
  expect(audit).toMatchObject({ verdict: 'sound', agrees: true });
  expect(audit.height).toBeGreaterThan(0);
  const again = await cluster.run(AGENT, 'peers', 'audit', idOf(1), '--json');
  expectRefused(again, 75, 'BUSY');
});
