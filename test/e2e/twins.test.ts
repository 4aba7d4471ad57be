/**
 * Goal: a consensus key that two daemons use is found out soon, and its node is named.
 * Setup: four daemons; the home of one is copied while it runs. The copy is started as it is, and
 * again by an operator who vouches for it, so that both vote with one key.
 * Then an owner takes the node back from a thief that has its running home.
 * Check: a copy that nobody vouches for does not vote; of two that vote, evidence or the memory of
 * the others names the node within ten views; there is one chain all the while.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Client } from '../../src/core/api/client/client.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { expectOneChain } from './support/agreement.ts';
import { clientOf, putFinal, statusOf } from './support/api.ts';
import { aegis, BIN, Cluster } from './support/cluster.ts';

/** Whose home is copied. */
const TWIN = 4;
const OTHERS = [1, 2, 3];
const VIEWS = 10;
const TIMEOUT_MS = 120_000;

let cluster: Cluster;
let copy: string;
beforeEach(async () => {
  cluster = await Cluster.start({ size: 4 });
  copy = join(cluster.dir, 'copy');
  for (let n = 0; n < 4; n += 1) await putFinal(cluster, TWIN, `before/${n}`, `before ${n}`);
  const { home } = cluster.node(TWIN);
  cpSync(home, copy, { recursive: true, filter: (path) => !path.startsWith(join(home, 'run')) });
  rmSync(join(copy, 'logs'), { recursive: true, force: true });
});
afterEach(async () => {
  await aegis(['--home', copy, 'node', 'stop']);
  await cluster.stop();
});

async function startCopy(...args: string[]): Promise<void> {
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const run = await aegis([
    ...['--home', copy, 'node', 'start', '--detach', ...passphrase, ...listen, ...args],
  ]);
  expect(run.exit, run.stderr).toBe(0);
}

function copied(): Client {
  const { socket, adminToken } = resolveHome({ home: copy, env: {} });
  return new Client({ socket, token: readFileSync(adminToken, 'utf8').trim() });
}

/** What anybody has against the node that there are two of. */
async function accusations(): Promise<string[]> {
  const found: string[] = [];
  for (const node of OTHERS) {
    const { evidence } = await clientOf(cluster, node).call('consensus.evidence');
    for (const { kind, custodian } of evidence) {
      expect(custodian.name, 'nobody else is accused').toBe(cluster.node(TWIN).name);
      found.push(kind);
    }
  }
  for (const node of OTHERS) {
    const { runTwice } = await statusOf(cluster, node);
    for (const { name } of runTwice) {
      expect(name, 'nobody else is named').toBe(cluster.node(TWIN).name);
      found.push('runs twice');
    }
  }
  return found;
}

/** Writes until somebody names the node, ten times at most. */
async function expectNamed(): Promise<void> {
  const from = (await statusOf(cluster, 1)).height;
  let found: string[] = [];
  for (let views = 0; views < VIEWS && found.length === 0; views += 1) {
    await putFinal(cluster, 1, `two/${views}`, `two ${views}`, { timeoutMs: 60_000 });
    found = await accusations();
  }
  expect(found).not.toEqual([]);
  const { height } = await statusOf(cluster, 1);
  expect(height - from).toBeLessThanOrEqual(VIEWS);
  expect((await aegis(['--home', copy, 'node', 'stop'])).exit).toBe(0);
  await expectOneChain(cluster, height);
}

test('a copy of a running home does not vote, and is named', { timeout: TIMEOUT_MS }, async () => {
  expect(await accusations()).toEqual([]);
  await startCopy();
  expect(await copied().call('consensus.status')).toMatchObject({ isVoting: false });
  await expectNamed();
});

test('two that vote with one key are named within ten views', { timeout: TIMEOUT_MS }, async () => {
  await startCopy('--vouch', '--yes');
  expect(await copied().call('consensus.status')).toMatchObject({ isVoting: true });
  await expectNamed();
  const why = OTHERS.map(async (node) => {
    const { stdout } = await cluster.run(node, 'consensus', 'status', '--why');
    return stdout.toString();
  });
  expect((await Promise.all(why)).join()).toMatch(/node4 runs twice|a custodian broke the rules/);
});

test('an owner with a backup and the successor is rid of a thief that runs on', {
  timeout: TIMEOUT_MS,
}, async () => {
  const at = (name: string): string => join(cluster.dir, name);
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const secret = ['--backup-passphrase-file', cluster.passphraseFile];
  const thief = ['--home', cluster.node(TWIN).home];
  const owner = ['--home', copy];
  const does = async (...args: string[]): Promise<void> => {
    const run = await aegis(args);
    expect(run.exit, `${args.join(' ')}: ${run.stderr}`).toBe(0);
  };
  rmSync(copy, { recursive: true });
  await does('keys', 'export', '--next', '--remove', '--yes', '--out', at('next.json'), ...thief);
  await does('keys', 'backup', '--out', at('backup'), ...secret, ...thief);
  await does('keys', 'restore', at('backup'), ...secret, ...owner);
  // Nothing of the keys has changed since, and the thief stands in the way of asking.
  await startCopy('--vouch', '--yes');
  const next = ['--next', at('next.json'), '--next-passphrase-file', cluster.passphraseFile];
  const fresh = ['--new-next', at('new.json')];
  const revoke = ['keys', 'revoke', '--yes', ...next, ...passphrase, ...owner];
  await does(...revoke, '--network', '--consensus');

  await cluster.until(
    () => clientOf(cluster, TWIN).call('peers.list'),
    ({ connected }) => connected === 0,
    'the thief is cut off',
  );
  const theirs = await cluster.run(TWIN, 'kb', 'put', BIN, '--path', 'theirs', '--timeout', '1s');
  expect(theirs.exit, theirs.stderr).toBe(75);
  // What the node once wrote comes back to it now, and is sealed with the identity key.
  for (const args of [
    ['kb', 'put', BIN, '--path', 'ours', ...owner],
    [...revoke, '--identity', ...fresh],
  ]) {
    const last = await cluster.until(
      () => aegis(args),
      ({ exit }) => exit !== 75,
      'the node has back what it wrote',
    );
    expect(last.exit, last.stderr).toBe(0);
  }
  expect(await copied().call('consensus.status')).toMatchObject({ isVoting: true });
});
