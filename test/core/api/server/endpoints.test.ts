/** Every endpoint once, through the real client and server; every reply fits its declaration. */
import * as v from 'valibot';
import { expect, it } from 'vitest';
import type { CallOptions } from '../../../../src/core/api/client/client.ts';
import { ENDPOINTS } from '../../../../src/core/api/contract/endpoints.ts';
import { ROUTES, type RouteName } from '../../../../src/core/api/contract/routes.ts';
import { harness } from '../harness.ts';
import { chunks, collect, OTHER } from '../memory-backend.ts';
import { hex } from '../memory-chain.ts';

const CHANGE = { path: 'a', version: 'b', parents: [], generation: 1, deleted: false };
/** As the memory backend makes it from the changes, defaults filled in. */
const ID = hex(JSON.stringify([CHANGE]));

const PROPOSAL = hex(JSON.stringify([{ op: 'add', nodeId: 'bob' }]));

const CALLS: Partial<Record<RouteName, CallOptions>> = {
  'node.status': {},
  'node.info': {},
  'node.wait': { query: { for: 'peers=3', timeoutMs: 1000 } },
  'node.stop': {},
  'node.backup': { body: { dir: '/backup' } },
  'peers.list': {},
  'peers.show': { params: { id: OTHER } },
  'peers.add': { body: { address: '/ip4/127.0.0.1/tcp/4003' } },
  'peers.remove': { params: { id: 'bob' } },
  'peers.ping': { params: { id: 'bob' }, body: { count: 2 } },
  'peers.find': { params: { id: 'bob' } },
  'peers.why': { params: { id: 'bob' } },
  'peers.audit': { params: { id: 'bob' }, body: {} },
  'peers.isolate': { body: { nodeIds: [OTHER] } },
  'peers.ban': { params: { id: 'bob' } },
  'peers.unban': { params: { id: 'bob' } },
  'keys.status': {},
  'keys.seal': {},
  'keys.adopt': { query: { timeoutMs: 100 } },
  'keys.session': {},
  'keys.history': { params: { id: 'bob' } },
  'cluster.members': { query: { all: true } },
  'cluster.invite': { body: { nodeId: OTHER, expiresInMs: 60_000 } },
  'cluster.leave': { body: {} },
  'cluster.propose': { body: { changes: [{ op: 'add', nodeId: 'bob' }] } },
  'cluster.approve': { params: { id: PROPOSAL }, body: {} },
  'cluster.proposals': { query: { all: true } },
  'cluster.state': {},
  'cluster.quotas': { query: { member: 'bob' } },
  'intents.submit': { body: { intents: [{ changes: [{ path: 'a', version: 'b' }] }] } },
  'intents.list': { query: { status: 'final', limit: 5 } },
  'intents.show': { params: { id: ID } },
  'intents.cancel': { params: { id: ID.slice(0, 8) }, query: { timeoutMs: 100 } },
  'intents.anchor': { body: { label: 'state', digest: ID } },
  'intents.anchors': { query: { node: 'alice' } },
  'intents.relay': { body: { signed: ['aGVsbG8='] } },
  'consensus.status': {},
  'consensus.blocks': { query: { from: 1, limit: 1 } },
  'consensus.block': { params: { id: '1' } },
  'consensus.validators': {},
  'consensus.explain': { params: { id: '1' } },
  'consensus.evidence': {},
  'kb.ls': { query: { prefix: 'notes', recursive: true } },
  'kb.log': { query: { path: 'notes/a.md' } },
  'kb.revert': { body: { path: 'notes/a.md@bafyr4i' } },
  'kb.rm': { body: { path: 'notes/a.md', message: 'why', wait: 'local' } },
  'kb.diff': { query: { a: 'notes/a.md', b: 'notes/b.md', context: 1 } },
  'kb.conflicts': { query: { prefix: 'notes/', limit: 10 } },
  'kb.resolve': { body: { path: 'notes/a.md', take: 'theirs', at: ['b'], wait: 'local' } },
  'kb.gc': { body: { dryRun: true } },
  'kb.space': {},
  'kb.pin': { body: { target: 'notes/a.md', name: 'plan' } },
  'kb.unpin': { body: { target: 'plan' } },
  'kb.pins': { query: { limit: 10 } },
  'kb.find': { query: { query: 'notes "of a" mark*', local: true, limit: 5 } },
  'kb.stat': { query: { path: 'notes/a.md' } },
  'kb.where': { query: { path: 'notes/a.md' } },
  'kb.status': { query: { limit: 10 } },
  'kb.repair': { body: { path: 'notes/a.md', now: true } },
  'kb.scrub': { body: { now: true } },
  'node.drain': { body: { undo: true } },
  'kb.proof': { query: { path: 'notes/a.md' } },
  'kb.grant': { body: { path: 'notes', node: 'bob', right: 'writer' } },
  'kb.revoke': { body: { path: 'notes', node: 'bob' } },
  'kb.erase': { body: { path: 'notes/b.md' } },
  'kb.rights': { query: { path: 'notes' } },
  'tor.status': {},
  'tor.route': { body: { mode: 'require' } },
  'tor.check': { body: {} },
  'tor.circuits': { query: { streams: true } },
  'tor.newnym': { body: { peer: 'bob' } },
  'tor.onion': {},
  'tor.renew': { body: { cut: true } },
  'chain.prune': { body: { keep: 128 } },
};

it('answers every JSON endpoint as declared', async () => {
  await using h = await harness();
  const source = { kind: 'file' as const, bytes: chunks(Buffer.from('hello')) };
  const put = await h.client.put({ path: 'notes/a.md', message: 'ä é' }, source);
  expect(v.is(ENDPOINTS['kb.put'].reply, put)).toBe(true);
  h.backend.chain.status = { evidence: 1 };
  await h.client.call('intents.submit', { body: { intents: [{ changes: [CHANGE] }] } });
  for (const name of Object.keys(ROUTES) as RouteName[]) {
    const options = CALLS[name];
    if (options === undefined) {
      const streams = ['kb.put', 'kb.each', 'kb.get', 'kb.watch', 'events', 'node.metrics'];
      expect([...streams, 'failures.show']).toContain(name);
      continue;
    }
    const reply = await h.client.call(name, options);
    const checked = v.safeParse(ENDPOINTS[name].reply, reply);
    expect(checked.issues, name).toBeUndefined();
  }
  expect(h.backend.stopped).toBe(1);
});

it('hands the query on with defaults and types', async () => {
  await using h = await harness();
  const seen: unknown[] = [];
  h.backend.onWait = async (wanted) => void seen.push(wanted);
  await h.reader.call('node.wait', { query: { for: 'peers=3' } });
  await h.reader.call('node.wait', { query: { for: 'height=12' } });
  await h.reader.call('node.wait', { query: { timeoutMs: 7 } });
  expect(seen).toEqual([
    { condition: 'peers', peers: 3, height: 0, timeoutMs: 30_000 },
    { condition: 'height', peers: 0, height: 12, timeoutMs: 30_000 },
    { condition: 'ready', peers: 0, height: 0, timeoutMs: 7 },
  ]);
});

it('stores and returns a file and its facts', async () => {
  await using h = await harness();
  const bytes = Buffer.alloc(300_000, 'abc');
  const path = 'notes/ä %?#&+.bin';
  await h.client.put({ path }, { kind: 'file', bytes: chunks(bytes), sizeBytes: bytes.length });
  const content = await h.reader.content({ path });
  expect(content).toMatchObject({ kind: 'file', path, sizeBytes: 300_000, version: 'v1' });
  expect(content).toMatchObject({ final: true, height: 1 });
  expect(await collect(content.bytes)).toEqual(bytes);
});

it('serves metrics as text', async () => {
  await using h = await harness();
  const reply = await h.reader.raw({ method: 'GET', target: '/v1/metrics' });
  expect(reply.headers.get('content-type')).toContain('text/plain');
  expect(reply.body.toString()).toContain('aegis_up 1');
});
