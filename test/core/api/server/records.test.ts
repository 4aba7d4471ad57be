/** The stream of what becomes final: `ready`, records, heartbeats, and how it ends. */
import { expect, it } from 'vitest';
import type { CallContext } from '../../../../src/core/api/backend.ts';
import type { KbWatchRecord } from '../../../../src/core/api/contract/kb-versions.ts';
import { packTar } from '../../../../src/core/api/tar.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { harness } from '../harness.ts';

const READY = { type: 'ready', schema: 'aegis.kb.watch/1', prefix: 'a', height: 7 } as const;

async function aborted({ signal }: CallContext): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

it('tells records as they come, and heartbeats while there are none', async () => {
  await using h = await harness({ limits: { heartbeatMs: 20 } });
  h.backend.versions.onWatch = async function* watch(context) {
    yield READY;
    await aborted(context);
  };
  const seen: KbWatchRecord[] = [];
  for await (const record of h.client.watch({ prefix: 'a' })) {
    seen.push(record);
    if (seen.length === 3) break;
  }
  expect(seen).toMatchObject([READY, { type: 'heartbeat' }, { type: 'heartbeat' }]);
});

it('ends with a last line when there are no more', async () => {
  await using h = await harness();
  const seen: string[] = [];
  for await (const record of h.client.watch({})) seen.push(record.type);
  expect(seen).toEqual(['ready', 'end']);
});

it('answers with the error when it cannot begin', async () => {
  await using h = await harness();
  h.backend.versions.onWatch = async function* watch(context) {
    if (!context.signal.aborted) throw new AegisError('NOT_FOUND', 'nothing of it');
    yield READY;
  };
  const watching = h.client.watch({}).next();
  await expect(watching).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('hears of a reader that hangs up', async () => {
  await using h = await harness();
  const gone = Promise.withResolvers<void>();
  h.backend.versions.onWatch = async function* watch(context) {
    yield READY;
    await aborted(context);
    gone.resolve();
  };
  for await (const record of h.client.watch({})) if (record.type === 'ready') break;
  await gone.promise;
});

it('takes many files as a tar, and nothing else', async () => {
  await using h = await harness();
  async function* bytes(text: string): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  async function* entries() {
    yield { path: 'b/c', kind: 'file' as const, sizeBytes: 2, bytes: bytes('hi') };
  }
  const source = { kind: 'directory' as const, bytes: packTar(entries()) };
  const put = await h.client.putEach({ prefix: 'a/' }, source);
  expect(put).toMatchObject({ schema: 'aegis.kb.each/1', paths: 1, sizeBytes: 2, wait: 'final' });
  expect([...h.backend.versions.put.keys()]).toEqual(['a/b/c']);
  const file = h.client.putEach({}, { kind: 'file', bytes: bytes('hi') });
  await expect(file).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});
