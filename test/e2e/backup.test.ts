/**
 * Goal: a copy that a node makes of itself while it works takes its place when it is destroyed, and
 * never votes where it may have voted before.
 * Setup: four daemons under load. One is backed up, goes on voting, and is destroyed; the copy is
 * started in its place. With one of the others down as well, every vote of the rest is needed.
 * Check: blocks become final while the copy is made; the copy follows, reads and does not vote;
 * with another consensus key it votes; nobody has evidence of two votes in one place.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { MIB } from '../../src/core/units.ts';
import { expectKept, expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, readLinearizable, statusOf } from './support/api.ts';
import { aegis, Cluster } from './support/cluster.ts';
import { rotate } from './support/rotate.ts';
import { Workload } from './support/workload.ts';

/** The node that is copied, and the one whose absence makes its vote count. */
const [COPIED, SPARE] = [4, 3];
const TIMEOUT_MS = 240_000;

let cluster: Cluster;
/** Another one for each case. */
let copy: string;
let copies = 0;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
});
afterAll(() => cluster.stop());
beforeEach(() => {
  copies += 1;
  copy = join(cluster.dir, `copy-${copies}-`);
});

const backup = (dir = copy): Promise<Result<'node.backup'>> =>
  clientOf(cluster, COPIED, 60_000).call('node.backup', { body: { dir } });

/** The home is gone, as with its disk, and the copy is where it was. */
async function replaceByCopy(): Promise<void> {
  await cluster.devnet.kill(String(COPIED));
  const { home } = cluster.node(COPIED);
  rmSync(home, { recursive: true });
  renameSync(copy, home);
  await cluster.devnet.resume(String(COPIED));
  await cluster.connected();
}

async function expectNoEvidence(): Promise<void> {
  for (const node of [1, 2, SPARE, COPIED]) {
    const { total } = await clientOf(cluster, node).call('consensus.evidence');
    expect(total, `evidence on node ${node}`).toBe(0);
  }
}

test('the copy is a home, private and whole, and nothing is written over', {
  timeout: TIMEOUT_MS,
}, async () => {
  await putFinal(cluster, COPIED, 'own', 'own');
  await backup();
  expect(readdirSync(copy).toSorted()).toEqual(
    ['config.json', 'data', 'format.json', 'keys', 'logs', 'run'].toSorted(),
  );
  expect(existsSync(join(copy, 'keys', 'restored.json'))).toBe(true);
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const dry = await aegis(['--home', copy, 'node', 'start', '--dry-run', ...passphrase]);
  expect(dry.exit, dry.stderr).toBe(0);
  const secrets = readFileSync(cluster.passphraseFile, 'utf8').trim();
  expect(readFileSync(join(copy, 'keys', 'consensus.key.json'), 'utf8')).not.toContain(secrets);
  await expect(backup()).rejects.toMatchObject({ code: 'EXISTS' });
  await expect(backup('relative')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await expect(backup(join(copy, 'no', 'where'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const both = await Promise.allSettled([backup(`${copy}1`), backup(`${copy}2`)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  expect(readdirSync(cluster.dir).filter((name) => name.includes('.new-'))).toEqual([]);
});

test('a copy made under load takes the place of the node', { timeout: TIMEOUT_MS }, async () => {
  await putFinal(cluster, COPIED, 'own', 'written by the node that is copied');
  const workload = new Workload(cluster, 20_261_121);
  const before = (await statusOf(cluster, 1)).height;
  const made = await backup();
  expect(made).toMatchObject({ dir: copy, height: expect.any(Number) });
  expect(made.height).toBeGreaterThanOrEqual(before);
  // It goes on, and votes on what the copy knows nothing of.
  const { height: after } = await putFinal(cluster, COPIED, 'later', 'after the copy was made');
  await replaceByCopy();

  const status = await clientOf(cluster, COPIED).call('keys.status');
  expect(status).toMatchObject({ restored: true, consensusKey: made.consensusKeys[0] });
  const query = { for: `height=${after}`, timeoutMs: 60_000 };
  await clientOf(cluster, COPIED).call('node.wait', { query });
  expect((await statusOf(cluster, COPIED)).isVoting).toBe(false);
  for (const path of ['own', 'later']) {
    const text = path === 'own' ? 'written by the node that is copied' : 'after the copy was made';
    expect(await readLinearizable(cluster, COPIED, path, 60_000)).toMatchObject({ text });
  }
  // Blocks go by, and it still does not vote: nothing but another key ends it.
  for (let n = 0; n < 6; n += 1) await putFinal(cluster, 1, `more/${n}`, `more ${n}`);
  expect((await statusOf(cluster, COPIED)).isVoting).toBe(false);
  await expectNoEvidence();

  const rotated = await rotate(cluster, COPIED, ['consensus']);
  expect(rotated.replaced).toEqual(['consensus']);
  expect(await clientOf(cluster, COPIED).call('keys.status')).toMatchObject({ restored: false });
  await cluster.until(
    () => statusOf(cluster, COPIED),
    ({ isVoting }) => isVoting,
    'it votes with its new key',
  );
  await workload.end();
  await cluster.devnet.kill(String(SPARE));
  const { height } = await putFinal(cluster, 1, 'by-its-vote', 'x', { timeoutMs: 60_000 });
  const params = { id: String(height) };
  const { certificate } = await clientOf(cluster, 1).call('consensus.block', { params });
  expect(certificate.signers.map(({ name }) => name)).toContain(cluster.node(COPIED).name);
  await cluster.devnet.resume(String(SPARE));
  await cluster.connected();
  const last = await expectLiveness(cluster);
  await expectOneChain(cluster, last);
  await expectKept(cluster, workload.reported);
  await expectPeace(cluster);
});

test('blocks become final while a large copy is made', { timeout: TIMEOUT_MS }, async () => {
  const put = ['kb', 'put', '-', '--path', 'large', '--wait', 'local'];
  const home = ['--home', cluster.node(COPIED).home];
  const run = await aegis([...home, ...put], { input: randomBytes(96 * MIB) });
  expect(run.exit, run.stderr).toBe(0);
  const copying = { isDone: false };
  const made = backup().finally(() => (copying.isDone = true));
  let count = 0;
  for (; !copying.isDone; count += 1) await putFinal(cluster, COPIED, `meanwhile/${count}`, 'x');
  expect((await made).contentBytes).toBeGreaterThan(96 * MIB);
  // It takes 3 s, and a block a tenth of one; with a node that stops for it, there is one at most.
  expect(count).toBeGreaterThan(3);
});
