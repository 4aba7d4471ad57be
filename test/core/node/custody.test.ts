/** Keys, members and bans of two real nodes in one process, through their API. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../../src/core/api/client/client.ts';
import type { HomePaths } from '../../../src/core/config/home.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { prepareRotation } from '../../../src/core/keys/rotation.ts';
import { openInception } from '../../../src/core/model/identity.ts';
import { invitationFromText, openInvitationFile } from '../../../src/core/model/invitation-file.ts';
import { followAll, openSuccession, originOf } from '../../../src/core/model/succession.ts';
import { type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';
import { makeCluster, PASSPHRASE } from './support/homes.ts';

let dir: string;
let homes: HomePaths[];
const running = new Map<number, RunningNode>();

async function start(index: number): Promise<void> {
  const paths = homes[index]!;
  const options = { paths, passphrase: PASSPHRASE, version: '0.0.0', env: {} };
  running.set(index, await startNode(options));
}

const clientOf = (index: number): Client => {
  const { socket, adminToken } = homes[index]!;
  return new Client({ socket, token: readFileSync(adminToken, 'utf8').trim(), timeoutMs: 20_000 });
};

async function meet(): Promise<void> {
  const [address] = running.get(1)!.ready.addresses;
  await clientOf(0).call('peers.add', { body: { address: address!.replace(/\/p2p\/.*/, '') } });
  for (const index of [0, 1]) {
    await clientOf(index).call('node.wait', { query: { for: 'peers=1' } });
  }
}

async function* document(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const put = (index: number, path: string) =>
  clientOf(index).put({ path, replicas: 1 }, { kind: 'file', bytes: document(path) });

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-custody-'));
  homes = await makeCluster(dir, 'a', 'b');
  await Promise.all([start(0), start(1)]);
  await meet();
});
afterAll(async () => {
  await Promise.all([...running.values()].map((node) => node.stop()));
  rmSync(dir, { recursive: true, force: true });
});

test('a node begins with its first keys, and says so', async () => {
  const status = await clientOf(0).call('keys.status');
  expect(status).toMatchObject({
    ...{ number: 0, keyEpoch: 0, pending: null, frozen: false, missing: [], restored: false },
    ...{ retiredNetworkKey: null, retiredOnionKey: null, versions: 0, warnings: [] },
    // O12
    onionKey: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
  });
  expect((await clientOf(0).call('node.status')).keys).toEqual({
    ...{ number: 0, keyEpoch: 0, pending: null, frozen: false, keyMissing: false, warnings: [] },
  });
  await expect(clientOf(0).call('keys.adopt')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect.poll(async () => (await clientOf(0).call('keys.status')).session?.peers).toBe(1);
});

test('all keys change at once; peers follow, and anybody can verify the whole of it', async () => {
  await put(0, 'before');
  const { versions } = await clientOf(0).call('keys.seal');
  expect(versions).toBe(1);
  const { entry } = await prepareRotation(
    {
      ...{ dir: homes[0]!.keys, passphrase: PASSPHRASE, next: { passphrase: PASSPHRASE } },
      roles: ['identity', 'network', 'consensus', 'onion'],
      ...{ sealed: versions, now: Date.now(), kdfCost: QUICK_KDF },
    },
    { random: systemRandom },
  );
  expect((await clientOf(0).call('keys.status')).pending).toBeNull();
  const peerId = (await clientOf(0).call('node.info')).peerId;
  const adopted = await clientOf(0).call('keys.adopt');
  expect(adopted).toMatchObject({ number: 1, keyEpoch: 1, digest: entry.digest });
  expect(adopted.retiredNetworkUntil).not.toBeNull();
  // O18
  const { retiredOnionKey } = await clientOf(0).call('keys.status');
  expect(retiredOnionKey).toEqual({
    key: expect.any(String) as string,
    until: adopted.retiredNetworkUntil,
  });
  expect((await clientOf(0).call('node.info')).peerId).not.toBe(peerId);
  await clientOf(1).call('node.wait', { query: { for: `height=${adopted.height}` } });

  const { nodeId } = adopted;
  const history = await clientOf(1).call('keys.history', { params: { id: 'a' } });
  expect(history).toMatchObject({ nodeId, status: 'member', frozen: false });
  const inceptionBytes = new Uint8Array(Buffer.from(history.inception, 'base64'));
  const { inception } = openInception(inceptionBytes);
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
  const { consensusKey, possession, vrfKey } = history.origin;
  const first = { consensusKey: bytes(consensusKey), possession: bytes(possession) };
  const origin = originOf({ nodeId, inception, inceptionBytes, ...first, vrfKey: bytes(vrfKey) });
  const entries = history.entries.map(({ bytes: one }) =>
    openSuccession(new Uint8Array(Buffer.from(one, 'base64'))),
  );
  expect(followAll(origin, entries).digest).toBe(entry.digest);
  expect(history.entries).toMatchObject([{ height: adopted.height }]);
  const self = await clientOf(0).call('keys.history', { params: { id: 'self' } });
  expect(self.entries).toEqual(history.entries);

  const { members } = await clientOf(1).call('cluster.members', {});
  expect(members.find(({ name }) => name === 'a')).toMatchObject({ number: 1, keyEpoch: 1 });
  const { validators } = await clientOf(1).call('consensus.validators');
  expect(validators.find(({ name }) => name === 'a')).toMatchObject({ keyEpoch: 1 });
  await expect
    .poll(async () => (await clientOf(1).call('peers.show', { params: { id: 'a' } })).peer)
    .toMatchObject({ state: 'connected', keyEpoch: 1 });
  const put2 = await put(0, 'after');
  expect(put2.height).toBeGreaterThan(adopted.height);
  const found = await clientOf(1).call('consensus.block', {
    params: { id: String(adopted.height) },
  });
  expect(found.intents.find(({ statement }) => statement === 'succession')).toMatchObject({
    ...{ author: nodeId, sequence: 0, changes: [], result: 'done' },
  });
});

test('versions of both key epochs are there after a restart of the other node', async () => {
  await running.get(1)!.stop();
  await start(1);
  await meet();
  for (const path of ['before', 'after']) {
    const { versions } = await clientOf(1).call('kb.log', { query: { path } });
    expect(versions, path).toMatchObject([{ final: true, shown: true }]);
  }
});

test('a session key is made by hand, and the peer hears of it', async () => {
  const before = (await clientOf(0).call('keys.status')).session!;
  const made = await clientOf(0).call('keys.session');
  expect(made.number).toBeGreaterThan(before.number);
  const { session } = await clientOf(0).call('keys.status');
  expect(session).toMatchObject({ number: made.number, publicKey: made.publicKey });
});

test('a ban makes a stranger of a member, through a restart, until it is taken back', async () => {
  const ban = await clientOf(0).call('peers.ban', { params: { id: 'b' } });
  expect(ban).toMatchObject({ name: 'b', banned: true, changed: true, disconnected: true });
  await running.get(0)!.stop();
  await start(0);
  const why = await clientOf(0).call('peers.why', { params: { id: 'b' } });
  expect(why.peer).toMatchObject({ banned: true });
  expect(why.peer.state).not.toBe('connected');
  expect(why.reasons[0]).toBe('an operator of this node has banned it: aegis peers unban b');
  const again = await clientOf(0).call('peers.ban', { params: { id: ban.nodeId } });
  expect(again).toMatchObject({ changed: false, disconnected: false });
  const { nodeId: own } = await clientOf(0).call('node.info');
  await expect(clientOf(0).call('peers.ban', { params: { id: own } })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
  const unban = await clientOf(0).call('peers.unban', { params: { id: 'b' } });
  expect(unban).toMatchObject({ banned: false, changed: true });
  await meet();
  expect((await put(0, 'together')).height).toBeGreaterThan(0);
});

test('a custodian invites; it does not leave', async () => {
  const nodeId = `aegis1${'a'.repeat(52)}`;
  const reply = await clientOf(0).call('cluster.invite', { body: { nodeId } });
  expect(reply).toMatchObject({ nodeId, isMember: false });
  const opened = openInvitationFile(invitationFromText(reply.invitation));
  expect(opened.invitation.invitation).toMatchObject({ nodeId, id: reply.id, keyEpoch: 1 });
  // The file leads to the keys of now, over those of the genesis.
  const keys = opened.keys.find((state) => state.nodeId === reply.inviter);
  expect(keys?.number).toBe(1);
  await expect(clientOf(0).call('cluster.leave', { body: {} })).rejects.toMatchObject({
    code: 'DENIED',
  });
});
