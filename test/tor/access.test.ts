/**
 * Goal: only members reach a node, and one that is no longer let in is out at once, everywhere.
 * Setup: four nodes in `require`; an outsider with a Tor of his own, without keys, with wrong ones,
 * and with those of a member; nodes that come, and one that was away.
 * Check: what Tor answers the outsider and how long his sockets live; that the banned node is cut
 * off and the others are not; invitation and return over onions only.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSettings } from '../../src/core/config/settings.ts';
import { clientEpochsAt, clientKeyOf } from '../../src/core/crypto/client-key.ts';
import { parseOnionAddress } from '../../src/core/crypto/onion.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { clientOf, putFinal } from '../e2e/support/api.ts';
import { type Cluster, eventually } from '../e2e/support/cluster.ts';
import { Newcomer } from '../e2e/support/newcomer.ts';
import { rotate } from '../e2e/support/rotate.ts';
import { describeOverTor, torNetwork } from './support/network.ts';
import { PATIENCE_MS, startOnions, statusOfTor, untilOnions } from './support/onions.ts';
import { ended, Outsider } from './support/outsider.ts';

const TIMEOUT_MS = 300_000;

let dir: string;
let cluster: Cluster;
let outsider: Outsider;
const newcomers: Newcomer[] = [];

const onionOf = async (node: number): Promise<string> =>
  (await statusOfTor(cluster, node)).services[0]!.address;

/** With the keys of a member, as he who has stolen them would compute it (O13). */
async function clientKey(thief: number, address: string): Promise<Uint8Array> {
  const passphrase = readFileSync(cluster.passphraseFile, 'utf8');
  const keystore = await Keystore.open({ dir: cluster.home(thief).keys, passphrase });
  try {
    const { clusterId } = await clientOf(cluster, thief).call('node.status');
    const service = parseOnionAddress(address);
    const client = keystore.current.keys.networkKey;
    const [epoch] = clientEpochsAt(Date.now());
    const network = keystore.networkSeed();
    return clientKeyOf({ clusterId: clusterId!, service, client, epoch: epoch! }, { network });
  } finally {
    keystore.close();
  }
}

describeOverTor('private onions', () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'aegis-access-'));
    const { torrc } = await torNetwork();
    outsider = new Outsider(join(dir, 'outsider'), torrc);
    [cluster] = await Promise.all([startOnions(), outsider.start()]);
  }, TIMEOUT_MS);
  afterAll(async () => {
    await Promise.all(newcomers.map((one) => one.remove()));
    await cluster?.stop();
    await outsider?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('nobody without a client key finds a node, nor with a wrong one', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const address = await onionOf(1);
    await expect(outsider.connect(address, 'none')).rejects.toMatchObject({ code: 'ONION_AUTH' });
    await outsider.use(address, randomBytes(32));
    await expect(outsider.connect(address, 'wrong')).rejects.toMatchObject({ code: 'ONION_AUTH' });
  });

  test('whoever is banned is cut off: live, on the same circuit, and on a new one', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const address = await onionOf(1);
    // The thief has the client key of node 4, so Tor lets him through to the socket.
    await outsider.use(address, await clientKey(4, address));
    const live = await outsider.connect(address, 'circuit');
    const isEnded = ended(live);
    (await outsider.connect(address, 'circuit')).destroy();
    const params = { id: cluster.node(4).nodeId };
    const begun = performance.now();
    await clientOf(cluster, 1, PATIENCE_MS).call('peers.ban', { params });
    await isEnded;
    expect(performance.now() - begun).toBeLessThan(PATIENCE_MS / 4);
    await expect(outsider.connect(address, 'circuit')).rejects.toThrow();
    await expect(outsider.connect(address, 'another')).rejects.toThrow();
    // A Tor that remembers nothing asks for the descriptor, and cannot read it.
    await outsider.forget();
    await outsider.use(address, await clientKey(4, address));
    await expect(outsider.connect(address, 'new')).rejects.toMatchObject({ code: 'ONION_AUTH' });
    await untilOnions(cluster, 4, [2, 3]);
    await untilOnions(cluster, 1, [2, 3]);
    await clientOf(cluster, 1, PATIENCE_MS).call('peers.unban', { params });
    await untilOnions(cluster, 1, [2, 3, 4]);
  });

  test('an invitation leads in, over an onion service', { timeout: TIMEOUT_MS }, async () => {
    const { torrc } = await torNetwork();
    const carol = await Newcomer.create('carol');
    newcomers.push(carol);
    const tor = { route: 'require', daemon: 'spawn', torrc };
    await writeSettings(carol.home, { tor, node: { listen: undefined } });
    const file = carol.at('invitation');
    await cluster.json(1, 'cluster', 'invite', await carol.bundle(), '-o', file);
    await carol.json('cluster', 'join', file);
    const started = await carol.start();
    expect(started.exit, started.stderr).toBe(0);
    await putFinal(cluster, 2, 'for carol', 'welcome', { timeoutMs: PATIENCE_MS });
    const text = await eventually(
      () => carol.run('kb', 'get', 'for carol'),
      ({ exit }) => exit === 0,
      'carol reads it',
      PATIENCE_MS,
    );
    expect(text.stdout.toString()).toBe('welcome');
    const { peers } = await carol.client().call('peers.list');
    const connected = peers.filter(({ state }) => state === 'connected');
    expect(connected.every(({ route }) => route === 'onion')).toBe(true);
    expect(connected.length).toBeGreaterThan(0);
  });

  test('who missed that all others changed their keys comes back by an invitation', {
    timeout: TIMEOUT_MS,
  }, async () => {
    expect((await cluster.run(4, 'node', 'stop')).exit).toBe(0);
    // No key of before counts any more: there is no grace.
    for (const node of [1, 2, 3]) {
      await rotate(cluster, node, ['network', 'onion'], { graceMs: 0, timeoutMs: PATIENCE_MS });
    }
    await untilOnions(cluster, 1, [2, 3]);
    const last = await putFinal(cluster, 1, 'missed', 'by node 4', { timeoutMs: PATIENCE_MS });
    const file = join(dir, 'return');
    await cluster.json(2, 'cluster', 'invite', cluster.node(4).nodeId, '-o', file);
    await cluster.json(4, 'cluster', 'rejoin', file);
    const started = await cluster.start(4);
    expect(started.exit, started.stderr).toBe(0);
    await untilOnions(cluster, 4, [1, 2, 3]);
    const query = { for: `height=${last.height}`, timeoutMs: PATIENCE_MS };
    await clientOf(cluster, 4, PATIENCE_MS).call('node.wait', { query });
  });
});
