/**
 * Goal: whoever was away finds everybody again, whatever their keys were; and a thief with all of a
 * home but its successor gets nothing that lasts.
 * Setup: four daemons. Node 4 is down while each of the others changes its network key three times,
 * without grace. Then the keys of node 2 are stolen while it runs, but for its successor; and those
 * of node 3 with it, and both owners change its keys.
 * Check: node 4 is connected to all and catches up; the thief can prepare no entry, and what it
 * signs with what it has is believed by nobody; when the owner rotates, the thief is cut off. Two
 * successions freeze node 3 everywhere, by evidence that everybody has; the others go on.
 */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publicKeyOf } from '../../src/core/crypto/sign.ts';
import type { AegisError } from '../../src/core/errors.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { prepareRotation } from '../../src/core/keys/rotation.ts';
import { openGenesis } from '../../src/core/model/genesis.ts';
import { signRecord } from '../../src/core/model/signed.ts';
import { Host } from '../../src/core/network/host.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import { expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, readLinearizable } from './support/api.ts';
import { Cluster, eventually } from './support/cluster.ts';
import { silent, trustful, uncounted } from './support/liar.ts';
import { rotate } from './support/rotate.ts';

const TIMEOUT_MS = 180_000;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
}, TIMEOUT_MS);
const hosts: Host[] = [];
afterAll(async () => {
  await Promise.all(hosts.map((host) => host.stop()));
  await cluster.stop();
});

/** A host that says to be the node of a keystore, with whatever key and entries. */
async function hostWith(
  keystore: Keystore,
  networkSeed: Uint8Array,
  succession: readonly Uint8Array[],
): Promise<Host> {
  const { clusterId } = openGenesis(new Uint8Array(readFileSync(cluster.home(1).genesis)));
  const { inceptionBytes: inception } = keystore;
  const hello = { ...trustful(clusterId, inception), own: () => ({ inception, succession }) };
  const host = await Host.create(
    { networkSeed, listen: [], profile: 'loopback', hello },
    { log: silent, metrics: uncounted, clock: systemClock(), random: systemRandom },
  );
  hosts.push(host);
  await host.start();
  return host;
}

const dial = (host: Host, node: number) =>
  host.dial(cluster.node(node).address, { timeoutMs: 10_000 });

const peerIdOf = async (node: number): Promise<string> =>
  (await clientOf(cluster, node).call('node.info')).peerId;

test('who was offline during three changes of each network key finds everybody', {
  timeout: TIMEOUT_MS,
}, async () => {
  await putFinal(cluster, 4, 'early', 'before all of it');
  const before = await Promise.all([1, 2, 3].map(peerIdOf));
  await cluster.run(4, 'node', 'stop');
  for (let round = 0; round < 3; round += 1) {
    const nodes = [1, 2, 3];
    await Promise.all(nodes.map((node) => rotate(cluster, node, ['network'], { graceMs: 0 })));
    await putFinal(cluster, 1, `round/${round}`, `${round}`);
  }
  const after = await Promise.all([1, 2, 3].map(peerIdOf));
  for (const [n, id] of after.entries()) expect(id).not.toBe(before[n]);
  const started = await cluster.start(4);
  expect(started.exit, started.stderr).toBe(0);
  await cluster.connected();
  for (let round = 0; round < 3; round += 1) {
    const { text } = await readLinearizable(cluster, 4, `round/${round}`);
    expect(text).toBe(`${round}`);
  }
  await expectOneChain(cluster, await expectLiveness(cluster));
  await expectPeace(cluster);
});

describe('a thief with a running home, its passphrase, and not its successor', () => {
  const VICTIM = 2;
  const WITNESSES = [1, 3, 4];
  let loot: string;
  let keystore: Keystore;
  let passphrase: string;

  beforeAll(async () => {
    const { keys } = cluster.home(VICTIM);
    loot = join(cluster.dir, 'loot');
    cpSync(keys, loot, { recursive: true });
    // It was kept elsewhere.
    rmSync(join(loot, 'identity-next.key.json'));
    passphrase = readFileSync(cluster.passphraseFile, 'utf8');
    keystore = await Keystore.open({ dir: loot, passphrase });
  });
  afterAll(() => keystore.close());

  test('can prepare no entry', async () => {
    const wish = { dir: loot, passphrase, next: { passphrase }, now: Date.now() };
    for (const more of [{ roles: ['network'] }, { roles: ['identity'], extend: true }] as const) {
      const made = prepareRotation({ ...wish, ...more }, { random: systemRandom });
      await expect(made).rejects.toMatchObject({ code: 'NO_SUCCESSOR' });
    }
  });

  test('is believed by nobody with an entry that the identity key has signed', async () => {
    const { signer, current, succession } = keystore;
    const seed = new Uint8Array(32).fill(66);
    const { changedAt: _, digest, keys, last: __, ...rest } = current;
    const forged = signRecord(
      {
        ...{ v: 2, type: 'succession', ...rest, number: current.number + 1 },
        previous: new Uint8Array(Buffer.from(digest, 'hex')),
        revealed: signer.publicKey,
        keys: { ...keys, networkKey: publicKeyOf(seed) },
        ...{ replaced: ['network'], graceMs: 0, reason: 'routine', createdAt: Date.now() },
      },
      signer,
    );
    const host = await hostWith(keystore, seed, [...succession, forged]);
    for (const node of WITNESSES) {
      await expect(dial(host, node)).rejects.toMatchObject({ code: 'HELLO_REFUSED' });
      const { keys: known } = await clientOf(cluster, node).call('node.status');
      expect(known?.frozen).toBe(false);
    }
    const { members } = await clientOf(cluster, 1).call('cluster.members', {});
    const victim = members.find(({ nodeId }) => nodeId === keystore.nodeId);
    expect(victim).toMatchObject({ number: current.number, frozen: false });
  });

  test('passes for the node until its owner rotates, and is cut off then', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const host = await hostWith(keystore, keystore.networkSeed(), keystore.succession);
    for (const node of WITNESSES) await dial(host, node);
    expect(host.peers().length).toBe(WITNESSES.length);
    // Though the thief stands between it and the others: they take its connection for the node's.
    await rotate(cluster, VICTIM, ['identity', 'network', 'consensus'], {
      reason: 'compromised',
    });
    await eventually(
      () => host.peers().length,
      (peers) => peers === 0,
      'the thief is cut off',
    );
    for (const node of WITNESSES) {
      const refused = await dial(host, node).catch((error: unknown) => error as AegisError);
      expect(refused).toMatchObject({
        code: 'HELLO_REFUSED',
        details: { refusal: 'RETIRED' },
      });
    }
    await cluster.connected();
    await expectOneChain(cluster, await expectLiveness(cluster));
    await expectPeace(cluster);
  });
});

test('two successions of one node freeze it everywhere, and the others go on', {
  timeout: TIMEOUT_MS,
}, async () => {
  const copy = join(cluster.dir, 'copy');
  cpSync(cluster.home(3).keys, copy, { recursive: true });
  const passphrase = readFileSync(cluster.passphraseFile, 'utf8');
  const wish = { dir: copy, passphrase, next: { passphrase }, now: Date.now() };
  const rival = await prepareRotation({ ...wish, roles: ['network'] }, { random: systemRandom });
  await rotate(cluster, 3, ['network']);
  using keystore = await Keystore.open({ dir: copy, passphrase });
  await keystore.adoptPending();
  const seed = keystore.networkSeed(rival.after.keys.networkKey);
  const host = await hostWith(keystore, seed, [...keystore.succession, rival.entry.bytes]);
  await expect(dial(host, 1)).rejects.toMatchObject({ code: 'HELLO_REFUSED' });
  const { nodeId } = cluster.node(3);
  for (const node of [1, 2, 4]) {
    const { evidence } = await cluster.until(
      () => clientOf(cluster, node).call('consensus.evidence'),
      ({ total }) => total === 1,
      `node ${node} has evidence`,
    );
    expect(evidence).toMatchObject([{ kind: 'duplicity', custodian: { nodeId } }]);
    await cluster.until(
      () => clientOf(cluster, node).call('peers.why', { params: { id: 'node3' } }),
      ({ peer }) => peer.frozen && peer.state !== 'connected',
      `node ${node} keeps away from it`,
    );
  }
  const { members } = await clientOf(cluster, 2).call('cluster.members', {});
  expect(members.filter(({ frozen }) => frozen).map(({ name }) => name)).toEqual(['node3']);
  const { height } = await putFinal(cluster, 1, 'without', 'the frozen one');
  expect(height).toBeGreaterThan(0);
  expect((await readLinearizable(cluster, 4, 'without')).text).toBe('the frozen one');
});
