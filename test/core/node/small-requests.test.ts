/** Small roots that are asked for together, of holders that serve, leave out, lie, stall or end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CID } from 'multiformats/cid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { keyOf } from '../../../src/core/kb/block.ts';
import { encodeCarBlock, encodeCarHeader } from '../../../src/core/kb/car.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { decodeFetch, encodeAnswer } from '../../../src/core/kb/request-batch.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { Fetcher } from '../../../src/core/node/fetcher.ts';
import { ObjectServer } from '../../../src/core/node/object-server.ts';
import type { Log, Metrics } from '../../../src/core/ports.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { bytesOf, fileOf, type Made, sha256Hasher } from '../kb/helpers.ts';

const log: Log = { write: () => {}, child: () => log };
const counted: string[] = [];
const metrics: Metrics = {
  count: (name) => void counted.push(name),
  gauge: () => {},
  observe: () => {},
};

type Answer = (request: Uint8Array, signal: AbortSignal) => AsyncIterable<Uint8Array>;

let dir: string;
let content: ContentStore;
let fetcher: Fetcher;
const holders = new Map<string, Answer>();
/** Holders answer nothing before. */
let gate: Promise<unknown> | undefined;
/** How many roots each request had, in the order of the requests. */
let asked: { holder: string; roots: number }[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-small-'));
  content = await ContentStore.open(join(dir, 'content.db'), { log });
  asked = [];
  gate = undefined;
  counted.length = 0;
  holders.clear();
  const openBulk: Host['openBulk'] = async (holder, request, options) => {
    const signal = options?.signal;
    const { requests } = decodeFetch(request);
    asked.push({ holder, roots: requests.length });
    await gate;
    return holders.get(holder)!(request, signal!);
  };
  const hashers = (code: number) => (code === sha256Hasher.code ? sha256Hasher : undefined);
  fetcher = new Fetcher({ content, host: { openBulk } as Host, hashers, log, metrics });
});
afterEach(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

const documents = (count: number, bytes = 300, chunk = 64): Made[] =>
  Array.from({ length: count }, (_, n) => fileOf(bytesOf(bytes, n + 1), sha256Hasher, chunk));

/** The server of a node that has these objects. */
function honest(made: readonly Made[]): Answer {
  const objects = new Map<string, Uint8Array>();
  for (const { cid, bytes } of made.flatMap((one) => one.objects)) objects.set(keyOf(cid), bytes);
  const read = async (cids: readonly CID[]) => cids.map((cid) => objects.get(keyOf(cid)));
  const server = new ObjectServer({ read, incomplete: () => {}, log });
  return async function* serve(request, signal) {
    const chunks: Uint8Array[] = [];
    const write = async (chunk: Uint8Array) => void chunks.push(chunk);
    await server.answer('us', request, { signal, write });
    yield* chunks;
  };
}

async function fetchAll(made: readonly Made[], sources: readonly string[]) {
  const calls = made.map(({ root }) => fetcher.fetch({ root, sources, isSmall: true }));
  // The store answers in turn: after this, all have looked there and ask the holder.
  gate = content.has(made.map(({ root }) => root)).then(() => setImmediate());
  return await Promise.allSettled(calls);
}
const ended = (results: readonly PromiseSettledResult<void>[]) =>
  results.map((result) => (result.status === 'fulfilled' ? 'here' : result.reason.code));
const batches = () => asked.filter(({ roots }) => roots > 1);

async function expectHere(made: readonly Made[]): Promise<void> {
  const objects = made.flatMap((one) => one.objects);
  const found = await content.getMany(
    objects.map(({ cid }) => cid),
    { verify: true },
  );
  expect(found).toEqual(objects.map(({ bytes }) => bytes));
}

test('many small roots take few streams, and every object comes', async () => {
  const made = documents(200);
  holders.set('bob', honest(made));
  await fetchAll(made, ['bob']);
  await expectHere(made);
  expect(asked.length).toBeLessThan(20);
  expect(Math.max(...asked.map(({ roots }) => roots))).toBe(LIMITS.batchRequests);
});

test('one root is asked for alone and at once, and so is each that is not small', async () => {
  const made = documents(40);
  holders.set('bob', honest(made));
  await fetchAll(made.slice(0, 1), ['bob']);
  await Promise.all(made.slice(1).map(({ root }) => fetcher.fetch({ root, sources: ['bob'] })));
  await expectHere(made);
  expect(asked).toEqual(made.map(() => ({ holder: 'bob', roots: 1 })));
});

test('a root that a holder lacks, or cannot read, costs only itself', async () => {
  const made = documents(30);
  const [lost, broken, ...sound] = made.toReversed();
  // A node whose bytes are no node: the holder's own disk or its author has made it so.
  const bad = { ...broken!, objects: [{ cid: broken!.root, bytes: Uint8Array.of(1, 2, 3) }] };
  holders.set('bob', honest([...sound, bad]));
  const results = ended(await fetchAll([...sound, lost!, broken!], ['bob']));
  expect(results.slice(-2)).toEqual(['NOT_REACHABLE', 'NOT_REACHABLE']);
  expect(results.filter((code) => code === 'here')).toHaveLength(28);
  await expectHere(sound);
  expect(batches().length).toBeGreaterThan(0);
});

test('what a holder leaves out of a batch is asked for alone', async () => {
  const made = documents(40);
  const serve = honest(made);
  holders.set('bob', async function* short(request, signal) {
    const { requests, isBatch } = decodeFetch(request);
    if (!isBatch) {
      yield* serve(request, signal);
      return;
    }
    // One of them, and an end.
    const one = made.find(({ root }) => root.equals(requests[0]!.root))!;
    const blocks = one.objects.find(({ cid }) => cid.equals(one.root))!;
    yield encodeAnswer([encodeCarHeader([one.root]), ...encodeCarBlock(blocks)]);
  });
  await fetchAll(made, ['bob']);
  await expectHere(made);
  expect(batches().length).toBeGreaterThan(0);
});

test('a root that is larger than was said comes in several requests', async () => {
  const made = [...documents(10), ...documents(2, 300_000, 4096)];
  holders.set('bob', honest(made));
  expect(ended(await fetchAll(made, ['bob']))).toEqual(made.map(() => 'here'));
  await expectHere(made);
});

/** What answers every request that is a batch in this way, and lacks every single one. */
const badly = (frames: (roots: readonly CID[]) => Iterable<Uint8Array>): Answer =>
  async function* answer(request) {
    const { requests, isBatch } = decodeFetch(request);
    if (isBatch) yield* frames(requests.map(({ root }) => root));
    else yield encodeCarHeader([]);
  };
const other = fileOf(bytesOf(500, 99), sha256Hasher, 64);
const lies: [string, Answer][] = [
  [
    'objects that nobody asked for',
    badly((roots) =>
      roots.map((root) =>
        encodeAnswer([encodeCarHeader([root]), ...encodeCarBlock(other.objects[0]!)]),
      ),
    ),
  ],
  [
    'false bytes',
    badly((roots) =>
      roots.map((cid) =>
        encodeAnswer([
          encodeCarHeader([cid]),
          ...encodeCarBlock({ cid, bytes: Uint8Array.of(1, 2, 3) }),
        ]),
      ),
    ),
  ],
  ['no frames', badly(() => [new Uint8Array(64).fill(255)])],
  [
    'too many frames',
    badly((roots) => [...roots, roots[0]!].map(() => encodeAnswer([encodeCarHeader([])]))),
  ],
];

test.each(lies)('a holder that sends %s is left for another, and accused', async (_what, lie) => {
  const made = documents(40);
  holders.set('mallory', lie);
  holders.set('bob', honest(made));
  expect(ended(await fetchAll(made, ['mallory', 'bob']))).toEqual(made.map(() => 'here'));
  await expectHere(made);
  expect(await content.has(other.objects.map(({ cid }) => cid))).not.toContain(true);
  expect(asked.some(({ holder, roots }) => holder === 'mallory' && roots > 1)).toBe(true);
});

test('a holder that stalls within a batch is left for another', async () => {
  const made = documents(40);
  holders.set('slow', (request) => {
    if (!decodeFetch(request).isBatch) return honest([])(request, new AbortController().signal);
    return (async function* stall(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(0, 0, 0);
      throw new AegisError('STALLED', 'nothing came');
    })();
  });
  holders.set('bob', honest(made));
  expect(ended(await fetchAll(made, ['slow', 'bob']))).toEqual(made.map(() => 'here'));
  await expectHere(made);
  expect(counted).toContain('aegis_fetch_stalls_total');
});

test('a batch ends when nobody waits for anything in it, and not before', async () => {
  const made = documents(10);
  const [stayer] = made.slice(-1);
  const open: AbortSignal[] = [];
  const opened = Promise.withResolvers<void>();
  const serve = honest(made);
  holders.set('bob', async function* wait(request, signal) {
    open.push(signal);
    await opened.promise;
    if (!signal.aborted) yield* serve(request, signal);
  });
  const callers = made.map(() => new AbortController());
  const calls = made.map(({ root }, n) =>
    fetcher.fetch({ root, sources: ['bob'], isSmall: true, signal: callers[n]!.signal }),
  );
  const results = Promise.allSettled(calls);
  await expect.poll(() => open.length).toBe(3);
  for (const caller of callers.slice(0, -1)) caller.abort(new Error('enough'));
  opened.resolve();
  await calls.at(-1);
  await expectHere([stayer!]);
  expect((await results).filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});
