/** Endpoints of consensus and intents: defaults, limits, and what hostile callers send. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { CHANGES_MAX, SUBMIT_MAX } from '../../../../src/core/api/contract/intents.ts';
import { type AegisError, isAegisError } from '../../../../src/core/errors.ts';
import { type Harness, harness } from '../harness.ts';
import { ALICE, CUSTODIANS, hex } from '../memory-chain.ts';
import { ask, errorOf, head } from '../wire.ts';

const change = (path: string, more: object = {}) => ({ path, version: 'bafy', ...more });
const submit = (h: Harness, ...paths: string[]) =>
  h.client.call('intents.submit', {
    body: { intents: paths.map((path) => ({ changes: [change(path)] })) },
  });

async function post(h: Harness, body: string, target = 'POST /v1/intents') {
  const length = String(Buffer.byteLength(body));
  const authorization = `Bearer ${h.adminToken}`;
  const headers = { authorization, 'content-type': 'application/json', 'content-length': length };
  return await ask(h.paths.socket, head(target, headers) + body);
}

it('fills in what an intent leaves out, and hands on the rest', async () => {
  await using h = await harness();
  const seen: unknown[] = [];
  const submitIntents = h.backend.submitIntents.bind(h.backend);
  h.backend.submitIntents = (body, context) => {
    seen.push(body);
    return submitIntents(body, context);
  };
  const full = { parents: ['p'], generation: 4, deleted: true, expected: null };
  await h.client.call('intents.submit', {
    body: {
      intents: [{ changes: [change('a'), change('b', full)] }],
      wait: 'accepted',
      timeoutMs: 9,
    },
  });
  await submit(h, 'c');
  const plain = { parents: [], generation: 1, deleted: false };
  expect(seen).toEqual([
    {
      intents: [{ changes: [change('a', plain), change('b', full)] }],
      wait: 'accepted',
      timeoutMs: 9,
    },
    { intents: [{ changes: [change('c', plain)] }], wait: 'final', timeoutMs: 60_000 },
  ]);
});

it('answers with what became of each intent, in the order of the request', async () => {
  await using h = await harness();
  const first = await submit(h, 'a', 'b');
  expect(first.intents.map(({ height, status }) => [height, status])).toEqual([
    [1, 'final'],
    [2, 'final'],
  ]);
  h.backend.chain.hasQuorum = false;
  const again = await submit(h, 'c', 'a');
  expect(again.intents.map(({ status }) => status)).toEqual(['pending', 'final']);
  expect(again.intents[1]?.id).toBe(first.intents[0]?.id);
  const list = await h.reader.call('intents.list', { query: { status: 'pending' } });
  expect([list.pending, list.intents.length]).toEqual([1, 1]);
});

const one = (more: object): string => JSON.stringify({ intents: [{ changes: [more] }] });
const many = (count: number, value: unknown): unknown[] =>
  Array.from({ length: count }, () => value);
it.each([
  ['no intents', '{}', 'intents'],
  ['an empty list', '{"intents":[]}', 'intents'],
  ['an intent without changes', '{"intents":[{"changes":[]}]}', 'changes'],
  ['too many intents', JSON.stringify({ intents: many(SUBMIT_MAX + 1, {}) }), 'intents'],
  [
    'too many changes',
    JSON.stringify({ intents: [{ changes: many(CHANGES_MAX + 1, change('a')) }] }),
    'changes',
  ],
  ['too many parents', one(change('a', { parents: many(33, 'p') })), 'parents'],
  ['no path', one({ version: 'b' }), 'path'],
  ['an empty version', one({ path: 'a', version: '' }), 'version'],
  ['an unknown field', one(change('a', { colour: 'red' })), 'colour'],
  ['a generation of 0', one(change('a', { generation: 0 })), 'generation'],
  ['a generation that is no integer', one(change('a', { generation: 1.5 })), 'generation'],
  ['a deep body', `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`, 'intents'],
  ['a body that is a list', '[]', 'intents'],
])('refuses %s, naming it', async (_, body, named) => {
  await using h = await harness();
  const reply = await post(h, body);
  expect([reply.status, errorOf(reply).code]).toEqual([400, 'BAD_REQUEST']);
  expect(errorOf(reply).message).toContain(named);
  expect(h.backend.chain.intents.size).toBe(0);
});

it('refuses a body of a mebibyte and one byte', async () => {
  await using h = await harness();
  const body = one(change('a', { version: 'x'.repeat(1024 * 1024) }));
  expect(errorOf(await post(h, body)).code).toBe('TOO_LARGE');
});

it('limits what is isolated', async () => {
  await using h = await harness();
  const put = 'PUT /v1/peers/isolated';
  const nodeIds = many(257, CUSTODIANS[1]?.nodeId);
  expect((await post(h, JSON.stringify({ nodeIds }), put)).status).toBe(400);
  expect((await post(h, '{"nodeIds":["bob"]}', put)).status).toBe(400);
  const reply = await h.client.call('peers.isolate', { body: { nodeIds: [ALICE.nodeId] } });
  expect([reply.nodeIds, h.backend.isolated]).toEqual([[ALICE.nodeId], [ALICE.nodeId]]);
  await h.client.call('peers.isolate', { body: { nodeIds: [] } });
  expect(h.backend.isolated).toEqual([]);
});

it('lets the read token see and not change', async () => {
  await using h = await harness();
  const body = { intents: [{ changes: [change('a')] }] };
  await expect(h.reader.call('intents.submit', { body })).rejects.toMatchObject({ code: 'DENIED' });
  const params = { id: hex('a') };
  await expect(h.reader.call('intents.cancel', { params })).rejects.toMatchObject({
    code: 'DENIED',
  });
  const isolate = h.reader.call('peers.isolate', { body: { nodeIds: [] } });
  await expect(isolate).rejects.toMatchObject({ code: 'DENIED' });
  await h.reader.call('consensus.status');
});

it('pages through the blocks without missing one', async () => {
  await using h = await harness();
  await submit(h, 'a', 'b', 'c', 'd', 'e');
  const heights: number[] = [];
  for (let from: number | null = 1000; from !== null; ) {
    const query: { from: number; limit: number } = { from, limit: 2 };
    const page = await h.reader.call('consensus.blocks', { query });
    heights.push(...page.blocks.map(({ height }) => height));
    from = page.next;
  }
  expect(heights).toEqual([5, 4, 3, 2, 1]);
});

it('takes a height or an id as it is written, and nothing else', async () => {
  await using h = await harness();
  await submit(h, 'a');
  const heights = fc.oneof(
    fc.integer().map(String),
    fc.string(),
    fc.constantFrom('01', '1e0', '+1'),
  );
  await fc.assert(
    fc.asyncProperty(heights, async (text) => {
      fc.pre(text !== '' && text.isWellFormed() && text.length < 200);
      for (const name of ['consensus.block', 'consensus.explain'] as const) {
        const error = await h.reader.call(name, { params: { id: text } }).catch((e: unknown) => e);
        if (text === '1') expect(isAegisError(error)).toBe(false);
        else expect((error as AegisError).code).toMatch(/^(NOT_FOUND|BAD_REQUEST)$/);
      }
    }),
    { numRuns: 50 },
  );
});

it('answers any query of the chain with a reply or a refusal, and stays whole', async () => {
  await using h = await harness();
  await submit(h, 'a');
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.integer().map(String), fc.constant('1'));
  const targets = [
    '/v1/consensus',
    '/v1/consensus/blocks',
    '/v1/intents',
    '/v1/consensus/evidence',
  ];
  const names = fc.constantFrom('from', 'limit', 'status', '__proto__', 'timeoutMs');
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...targets), names, text, async (target, name, value) => {
      fc.pre(value.isWellFormed());
      const query = `${name}=${encodeURIComponent(value)}`;
      const reply = await h.reader.raw({ method: 'GET', target: `${target}?${query}` });
      expect([200, 400]).toContain(reply.status);
    }),
    { numRuns: 40 },
  );
  expect(await h.reader.call('consensus.status')).toMatchObject({ height: 1 });
});

it('answers any JSON as an intent with a reply or a refusal', async () => {
  await using h = await harness();
  const value = fc.jsonValue({ maxDepth: 3 });
  const almost = fc.record(
    { path: value, version: value, parents: value, generation: value, expected: value },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.oneof(value, almost), async (found) => {
      const reply = await post(h, JSON.stringify({ intents: [{ changes: [found] }] }));
      expect([200, 400]).toContain(reply.status);
    }),
    { numRuns: 40 },
  );
});

it('stops waiting for what is not decided when the caller hangs up', async () => {
  await using h = await harness();
  let begun = (): void => undefined;
  const waits = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let aborted: unknown;
  h.backend.submitIntents = (_, { signal }) => {
    begun();
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        aborted = signal.reason;
        reject(signal.reason as Error);
      });
    });
  };
  const controller = new AbortController();
  const body = { intents: [{ changes: [change('a')] }] };
  const call = h.client.call('intents.submit', { body, signal: controller.signal });
  const ended = expect(call).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await waits;
  controller.abort();
  await ended;
  await expect.poll(() => aborted).toMatchObject({ code: 'INTERRUPTED' });
});

it('tells of each block, and of the newest state of consensus only', async () => {
  await using h = await harness();
  const events = h.reader.events();
  const opening = await events.next();
  expect(opening.value).toMatchObject({ type: 'snapshot', consensus: { height: 0 }, blocks: [] });
  await submit(h, 'a', 'b');
  const [first, second] = h.backend.chain.summaries();
  const consensus = h.backend.chain.consensus();
  h.backend.tell({ type: 'consensus', consensus: { ...consensus, height: 1 } });
  h.backend.tell({ type: 'block', block: first! });
  h.backend.tell({ type: 'consensus', consensus });
  h.backend.tell({ type: 'block', block: second! });
  const told = [await events.next(), await events.next(), await events.next()];
  expect(told.map(({ value }) => value)).toEqual([
    { type: 'consensus', consensus },
    { type: 'block', block: first },
    { type: 'block', block: second },
  ]);
  await events.return();
});
