/**
 * Goal: a consensus key that two daemons use is found out soon, and its node is named.
 * Setup: four daemons; the home of one is copied while it runs. The copy is started as it is, and
 * again by an operator who vouches for it, so that both vote with one key.
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
import { aegis, Cluster } from './support/cluster.ts';

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
  await expectOneChain(cluster, height - 1);
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
  const why = await cluster.run(1, 'consensus', 'status', '--why');
  expect(why.stdout.toString()).toMatch(/node4 runs twice|a custodian broke the rules/);
});
