/** Fetches over a real store: shared calls, damage on the own disk. The network is a function. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { CID } from 'multiformats/cid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyOf } from '../../../src/core/kb/block.ts';
import { decodeFetchRequest } from '../../../src/core/kb/request.ts';
import { Serving } from '../../../src/core/kb/serve.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { Fetcher } from '../../../src/core/node/fetcher.ts';
import type { Log, Metrics } from '../../../src/core/ports.ts';
import { ContentStore } from '../../../src/core/storage/content-store.ts';
import { fileOf, sha256Hasher } from '../kb/helpers.ts';

const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };
const made = fileOf(Uint8Array.from(randomBytes(20_000)), sha256Hasher, 1000);

let dir: string;
let path: string;
let content: ContentStore;
/** Holds back what the holder sends. */
let gate: PromiseWithResolvers<void>;
let fetcher: Fetcher;

function fetcherFor(store: ContentStore): Fetcher {
  const objects = new Map(made.objects.map(({ cid, bytes }) => [keyOf(cid), bytes]));
  async function* answer(request: Uint8Array): AsyncGenerator<Uint8Array> {
    await gate.promise;
    const serving = new Serving(decodeFetchRequest(request));
    for (let cids = serving.wants(); cids.length > 0; cids = serving.wants()) {
      yield* serving.give(cids.map((cid: CID) => objects.get(keyOf(cid))));
    }
  }
  const host = {
    openBulk: async (_nodeId: string, request: Uint8Array) => answer(request),
  } as unknown as Host;
  const hashers = (code: number) => (code === sha256Hasher.code ? sha256Hasher : undefined);
  return new Fetcher({ content: store, host, hashers, log, metrics });
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-fetcher-'));
  path = join(dir, 'content.db');
  content = await ContentStore.open(path, { log });
  gate = Promise.withResolvers();
  fetcher = fetcherFor(content);
});
afterEach(async () => {
  await content.close();
  rmSync(dir, { recursive: true, force: true });
});

const read = () =>
  content.getMany(
    made.objects.map(({ cid }) => cid),
    { verify: true },
  );

test('a caller that gives up leaves the fetch to the others', async () => {
  const { root } = made;
  const impatient = new AbortController();
  const patient = fetcher.fetch({ root, sources: ['bob'] });
  const gone = fetcher.fetch({ root, sources: ['bob'], signal: impatient.signal });
  impatient.abort(new Error('too slow'));
  await expect(gone).rejects.toThrow('too slow');
  gate.resolve();
  await patient;
  expect(await read()).toEqual(made.objects.map(({ bytes }) => bytes));
});

test('a fetch that nobody waits for any more ends', async () => {
  const only = new AbortController();
  const call = fetcher.fetch({ root: made.root, sources: ['bob'], signal: only.signal });
  only.abort(new Error('enough'));
  await expect(call).rejects.toThrow('enough');
  gate.resolve();
  // The next call is a new fetch, not the end of the old one.
  await fetcher.fetch({ root: made.root, sources: ['bob'] });
  expect(await read()).toEqual(made.objects.map(({ bytes }) => bytes));
});

test('a node that has rotted on the own disk is fetched again, not followed', async () => {
  gate.resolve();
  await fetcher.fetch({ root: made.root, sources: ['bob'] });
  await content.close();
  const db = new DatabaseSync(path);
  const node = made.objects.find(({ cid }) => cid.equals(made.root))!;
  const flipped = node.bytes.slice();
  flipped[10]! ^= 1;
  db.prepare('UPDATE objects SET bytes = ? WHERE key = ?').run(flipped, node.cid.multihash.bytes);
  db.close();
  content = await ContentStore.open(path, { log });
  await fetcherFor(content).fetch({ root: made.root, sources: ['bob'] });
  expect(await read()).toEqual(made.objects.map(({ bytes }) => bytes));
});
