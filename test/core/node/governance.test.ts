/** A cluster of one decides alone: proposals, rights, anchors and the rest through its API. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client } from '../../../src/core/api/client/client.ts';
import type { WantedChange } from '../../../src/core/api/contract/governance.ts';
import { type HomePaths, resolveHome } from '../../../src/core/config/home.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import type { Change } from '../../../src/core/model/change.ts';
import { openGenesis } from '../../../src/core/model/genesis.ts';
import { createIntent } from '../../../src/core/model/intent.ts';
import { PROTOCOL } from '../../../src/core/model/protocol.ts';
import { type RunningNode, startNode } from '../../../src/core/node/daemon.ts';
import { versionOf } from '../kb/authors.ts';
import { makeCluster, PASSPHRASE } from './support/homes.ts';
import { ana } from './support/node.ts';

const FIRST = 'ab'.repeat(32);
const SECOND = 'cd'.repeat(32);

let dir: string;
let paths: HomePaths;
let node: RunningNode;
let client: Client;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-alone-'));
  await makeCluster(dir, 'alone');
  paths = resolveHome({ home: join(dir, 'alone'), env: {} });
  node = await startNode({ paths, passphrase: PASSPHRASE, version: '0.0.0', env: {} });
  const token = readFileSync(paths.adminToken, 'utf8').trim();
  client = new Client({ socket: paths.socket, token, timeoutMs: 20_000 });
});
afterAll(async () => {
  await node.stop();
  rmSync(dir, { recursive: true, force: true });
});

const propose = (changes: WantedChange[], more: object = {}) =>
  client.call('cluster.propose', { body: { changes, ...more } });

async function* document(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const put = (path: string) =>
  client.put({ path, wait: 'final', replicas: 1 }, { kind: 'file', bytes: document(path) });

test('a fresh cluster says nothing by itself, and shows its first rules', async () => {
  const state = await client.call('cluster.state');
  expect(state).toMatchObject({
    height: 0,
    epoch: { from: 1, quorum: 1, custodians: [{ name: 'alone' }] },
    protocol: { version: PROTOCOL.max, max: PROTOCOL.max, raise: null },
    proposals: 0,
    checkpoint: null,
  });
  expect(state.parameters).toContainEqual({ name: 'openWrites', value: 1 });
});

test('one custodian proposes and decides at once', async () => {
  const { proposal, height } = await propose([
    { op: 'zone', nodeId: 'alone', zone: 'attic' },
    { op: 'weight', nodeId: 'alone', storageWeight: 7 },
    { op: 'parameter', name: 'openWrites', value: 0 },
  ]);
  expect(height).toBe(1);
  expect(proposal.changes.map(({ text }) => text)).toEqual([
    'alone is in zone attic',
    'alone has storage weight 7',
    'openWrites is 0',
  ]);
  expect(proposal.approvals).toMatchObject([{ name: 'alone' }]);
  await expect(put('x')).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
  const { members } = await client.call('cluster.members');
  expect(members).toMatchObject([{ zone: 'attic', storageWeight: 7 }]);
  expect(await client.call('node.info')).toMatchObject({ zone: 'attic', storageWeight: 7 });
  expect(await client.call('kb.rights', { query: { path: 'x' } })).toMatchObject({
    namespace: null,
    openWrites: false,
    mayWrite: false,
  });
  await propose([{ op: 'parameter', name: 'openWrites', value: 1 }]);
  const { proposals } = await client.call('cluster.proposals', { query: { all: true } });
  expect(proposals.map(({ status }) => status)).toContain('done');
  expect((await client.call('cluster.proposals', { query: {} })).proposals).toEqual([]);
  const params = { id: proposals[0]!.id.slice(0, 8) };
  const again = await client.call('cluster.approve', { params, body: {} });
  expect(again).toMatchObject({ final: false, proposal: { id: proposals[0]!.id } });
});

test('what cannot be proposed is told before anything is signed', async () => {
  const { height } = await client.call('consensus.status');
  const refused: [WantedChange, string][] = [
    [{ op: 'add', nodeId: 'nobody' }, 'NOT_FOUND'],
    [{ op: 'parameter', name: 'colour', value: 1 }, 'BAD_REQUEST'],
    [{ op: 'parameter', name: 'openWrites', value: 2 }, 'BAD_REQUEST'],
    [{ op: 'namespace', path: '', owners: ['alone'] }, 'BAD_REQUEST'],
  ];
  for (const [change, code] of refused) {
    await expect(propose([change]), change.op).rejects.toMatchObject({ code });
  }
  const unknown = client.call('cluster.approve', { params: { id: 'abcdef' }, body: {} });
  await expect(unknown).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await client.call('consensus.status')).height).toBe(height);
});

test('a proposal for a later height waits for it', async () => {
  const { height } = await client.call('consensus.status');
  const at = height + 3;
  const { proposal } = await propose([{ op: 'zone', nodeId: 'alone', zone: 'cellar' }], { at });
  expect(proposal).toMatchObject({ status: 'decided', effectiveAt: at });
  for (const path of ['one', 'two', 'three']) await put(path);
  const { proposals } = await client.call('cluster.proposals', { query: { all: true } });
  expect(proposals.find(({ id }) => id === proposal.id)).toMatchObject({ status: 'done' });
});

test('rights are given, taken, and given again', async () => {
  await propose([{ op: 'namespace', path: 'mine', owners: ['alone'] }]);
  const body = { path: 'mine/deep', node: 'alone', right: 'owner' as const };
  const first = await client.call('kb.grant', { body });
  expect(first).toMatchObject({ final: true, changed: true });
  expect(await client.call('kb.rights', { query: { path: 'mine/deep/x' } })).toMatchObject({
    namespace: { path: 'mine/deep', owners: [{ name: 'alone' }], writers: [] },
    mayGrant: true,
  });
  const taken = await client.call('kb.revoke', { body: { path: 'mine/deep', node: 'alone' } });
  expect(taken.changed).toBe(true);
  const again = await client.call('kb.grant', { body });
  expect(again).toMatchObject({ id: first.id, changed: true });
  expect(again.height).toBeGreaterThan(taken.height!);
  const elsewhere = client.call('kb.grant', { body: { ...body, path: 'elsewhere' } });
  await expect(elsewhere).rejects.toMatchObject({ code: 'NOT_ALLOWED' });
});

test('a deleted path is erased', async () => {
  const path = 'gone';
  const early = client.call('kb.erase', { body: { path: 'three' } });
  await expect(early).rejects.toMatchObject({ code: 'CHECK_FAILED' });
  const version = versionOf(ana, { path, sequence: 1 }).cidText;
  const changes = [{ path, version, deleted: true }];
  await client.call('intents.submit', { body: { intents: [{ changes }] } });
  expect(await client.call('kb.erase', { body: { path } })).toMatchObject({ changed: true });
});

test('anchors follow one another', async () => {
  const anchor = (digest: string, more: object = {}) =>
    client.call('intents.anchor', { body: { label: 'ledger', digest, ...more } });
  expect(await anchor(FIRST)).toMatchObject({ previous: null, intent: { result: 'done' } });
  const late = anchor(SECOND, { previous: null });
  await expect(late).rejects.toMatchObject({ code: 'CHECK_FAILED' });
  expect(await anchor(SECOND)).toMatchObject({ previous: FIRST });
  expect(await anchor(FIRST)).toMatchObject({ previous: SECOND, intent: { result: 'done' } });
  const { anchors } = await client.call('intents.anchors');
  expect(anchors).toMatchObject([{ label: 'ledger', digest: FIRST, previous: SECOND }]);
});

test('what was signed elsewhere is handed in once and in order', async () => {
  const genesis = openGenesis(new Uint8Array(readFileSync(paths.genesis)));
  using keystore = await Keystore.open({ dir: paths.keys, passphrase: PASSPHRASE });
  const { nodeId: author } = keystore;
  const signer = keystore.identity(keystore.current.keys.identityKey)!;
  const { intents } = await client.call('intents.list');
  const next = Math.max(...intents.map(({ sequence }) => sequence)) + 1;
  const sign = (sequence: number, changes: Change[]): string => {
    const fields = { author, sequence, time: 1, changes };
    return Buffer.from(createIntent(fields, genesis, signer).bytes).toString('base64');
  };
  const relay = (...signed: string[]) => client.call('intents.relay', { body: { signed } });
  await expect(relay(sign(next + 1, []))).rejects.toMatchObject({ code: 'OUT_OF_ORDER' });
  const both = [sign(next, []), sign(next + 1, [])];
  const { intents: fates } = await relay(...both);
  expect(fates.map(({ status }) => status)).toEqual(['final', 'final']);
  await expect(relay(both[0]!)).rejects.toMatchObject({ code: 'REPLAYED' });
  await expect(relay('AAAA')).rejects.toMatchObject({ code: 'BAD_ENCODING' });
});

test('a custodian has no quota', async () => {
  const { quotas } = await client.call('cluster.quotas', { query: { member: 'alone' } });
  expect(quotas).toMatchObject([{ role: 'custodian', changesPerHour: { limit: null } }]);
});
