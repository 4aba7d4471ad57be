/**
 * Goal: a node whose keys lie with a signer votes as any other, goes on without it, and nobody gets
 * two signatures for one place.
 * Setup: four daemons, one of them with its keys behind `aegis keys serve`. With one of the others
 * down as well, every vote of the rest is needed.
 * Check: that blocks become final by its vote, before and after the signer was killed under load;
 * what a second daemon with the same signer gets; and what is where on the disk.
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestMessage } from '../../src/core/consensus/signed-bytes.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { prepareRotation } from '../../src/core/keys/rotation.ts';
import { rawSigner } from '../core/keys/support/signer.ts';
import { expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, statusOf } from './support/api.ts';
import { aegis, Cluster } from './support/cluster.ts';
import { Signer } from './support/signer.ts';

/** The node with the signer, and the one whose absence makes its vote count. */
const [SIGNED, SPARE] = [4, 3];

const TIMEOUT_MS = 240_000;

/** Each case leaves it well, and the signer running. */
let cluster: Cluster;
let signer: Signer;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
  expect((await cluster.run(SIGNED, 'node', 'stop')).exit).toBe(0);
  signer = await Signer.takeKeys(cluster, SIGNED);
  await signer.start();
  const started = await cluster.start(SIGNED);
  expect(started.exit, started.stderr).toBe(0);
  await cluster.connected();
});
afterAll(async () => {
  await signer.kill();
  await cluster.stop();
});

const blockAt = (height: number) =>
  clientOf(cluster, 1).call('consensus.block', { params: { id: String(height) } });

/** With the spare one down a write is final only by this node's vote. */
async function expectVoteCounts(path: string): Promise<number> {
  await cluster.devnet.kill(String(SPARE));
  const { height } = await putFinal(cluster, 1, path, path, { timeoutMs: 60_000 });
  const { certificate } = await blockAt(height!);
  expect(certificate.signers.map(({ name }) => name)).toContain(cluster.node(SIGNED).name);
  await cluster.devnet.resume(String(SPARE));
  await cluster.connected();
  return height!;
}

async function expectWell(): Promise<void> {
  const height = await expectLiveness(cluster);
  await expectOneChain(cluster, height);
  await expectPeace(cluster);
}

test('the chain goes on without the signer, and the node votes again with it', {
  timeout: TIMEOUT_MS,
}, async () => {
  await expectVoteCounts('before');
  const load = { goesOn: true, count: 0 };
  const writing = (async () => {
    while (load.goesOn) {
      load.count += 1;
      await putFinal(cluster, 1, `load/${load.count}`, `load ${load.count}`, { timeoutMs: 60_000 });
    }
  })();
  for (let round = 0; round < 3; round += 1) {
    await signer.kill();
    const { count } = load;
    await cluster.until(
      () => load.count,
      (now) => now > count + 3,
      'writes become final without the signer',
    );
    await signer.start();
  }
  load.goesOn = false;
  await writing;
  await expectVoteCounts('after');
  await expectWell();
  expect(await signer.stop()).toBe(0);
  await signer.start();
});

test('the keys are with the signer and nowhere else, and the node says what it has', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { keys } = cluster.home(SIGNED);
  const files = readdirSync(keys).filter((name) => name.endsWith('.key.json'));
  expect(files).toEqual(['network.key.json', 'onion.key.json']);
  const list = await cluster.json<{ keys: { role: string }[] }>(SIGNED, 'keys', 'list');
  expect(list.keys.map(({ role }) => role)).toEqual(['network', 'onion']);
  await putFinal(cluster, SIGNED, 'own', 'written by the node itself');

  // Its own documents and intents need the identity key.
  await signer.kill();
  const home = ['--home', cluster.node(SIGNED).home];
  const put = ['kb', 'put', '-', '--path', 'later', '--timeout', '5s', '--json'];
  const refused = await aegis([...home, ...put], { input: Buffer.from('later') });
  expect(refused.exit, refused.stderr).toBe(69);
  expect(JSON.parse(refused.stdout.toString())).toMatchObject({
    error: { code: 'SIGNER_UNREACHABLE' },
  });
  await signer.start();
  const again = () => aegis([...home, ...put], { input: Buffer.from('later') });
  await cluster.until(again, ({ exit }) => exit === 0, 'it writes again');
});

test('a rotation that was prepared with the signer comes into force on both sides', {
  timeout: TIMEOUT_MS,
}, async () => {
  const { keys } = cluster.home(SIGNED);
  const theirs = join(signer.home, 'keys');
  // Between the old file and the new one there is none.
  const publicKey = (dir: string): string | undefined => {
    const path = join(dir, 'consensus.key.json');
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).public.key : undefined;
  };
  const before = publicKey(theirs);
  const passphrase = readFileSync(cluster.passphraseFile, 'utf8');
  await prepareRotation(
    { dir: theirs, passphrase, next: { passphrase }, roles: ['consensus'], now: Date.now() },
    { random: systemRandom },
  );
  signer.hangUp();
  const arrived = () => existsSync(join(keys, 'pending', 'entry.cbor'));
  await cluster.until(arrived, (isThere) => isThere, 'the node hears of the rotation');
  const query = { timeoutMs: 60_000 };
  const done = await clientOf(cluster, SIGNED, 70_000).call('keys.adopt', { query });
  expect(done).toMatchObject({ number: 1, replaced: ['consensus'] });

  const shown = () => existsSync(join(theirs, 'pending', 'shown'));
  await cluster.until(shown, (isThere) => isThere, 'the signer is told (G3)');
  const { consensusKey, missing } = await clientOf(cluster, SIGNED).call('keys.status');
  expect([consensusKey, missing]).toEqual([publicKey(join(theirs, 'pending')), []]);
  expect(existsSync(join(keys, 'consensus.key.json'))).toBe(false);
  await expectVoteCounts('with the new key');
  // That it is final is the word of the node; the operator's erases the key of before.
  expect(publicKey(theirs)).toBe(before);
  await signer.kill();
  await signer.start('--erase-retired', '--yes');
  expect(publicKey(theirs)).toBe(consensusKey);
  expect(existsSync(join(theirs, 'pending'))).toBe(false);
  expect((await cluster.run(SIGNED, 'node', 'stop')).exit).toBe(0);
  expect((await cluster.start(SIGNED)).exit).toBe(0);
  await cluster.connected();
  await expectVoteCounts('after a restart');
  await expectWell();
});

test('nobody gets a second signature for a place, also no second daemon', {
  timeout: TIMEOUT_MS,
}, async () => {
  const height = await expectVoteCounts('before the two');
  const { consensusKey } = await clientOf(cluster, SIGNED)
    .call('consensus.validators')
    .then(({ validators }) => validators.find(({ name }) => name === cluster.node(SIGNED).name)!);
  const { clusterId } = await clientOf(cluster, 1).call('node.status');
  const raw = await rawSigner(signer.socket);
  for (const kind of ['prepare', 'commit'] as const) {
    const payload = digestMessage(clusterId!, kind, height, 0, 'ab'.repeat(32));
    const key = Buffer.from(consensusKey, 'hex');
    expect(await raw.ask({ op: 'vote', key, payload })).toMatchObject({ refusal: 'DOUBLE_SIGN' });
  }
  raw.close();

  const { home } = cluster.node(SIGNED);
  const copy = join(cluster.dir, 'copy');
  cpSync(home, copy, { recursive: true, filter: (path) => !path.startsWith(join(home, 'run')) });
  rmSync(join(copy, 'logs'), { recursive: true, force: true });
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const start = ['--home', copy, 'node', 'start', '--detach', ...passphrase, ...listen];
  const second = await aegis(start);
  expect(second.exit, second.stderr).toBe(0);
  for (let n = 0; n < 20; n += 1) await putFinal(cluster, 1, `two/${n}`, `two ${n}`);
  expect((await aegis(['--home', copy, 'node', 'stop'])).exit).toBe(0);
  for (const node of [1, 2, SPARE, SIGNED]) {
    const { total } = await clientOf(cluster, node).call('consensus.evidence');
    expect(total, `evidence on node ${node}`).toBe(0);
  }
  const log = readFileSync(join(signer.home, 'logs', 'signer.log'), 'utf8');
  expect(log).toContain('DOUBLE_SIGN');
  const last = (await statusOf(cluster, 1)).height;
  // The two have shared a network key, so it may have to catch up, which this waits for.
  await expectOneChain(cluster, last);
});
