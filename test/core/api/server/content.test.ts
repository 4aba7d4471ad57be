/** Uploads and downloads that break. */
import { expect, it } from 'vitest';
import type { Download } from '../../../../src/core/api/backend.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { harness } from '../harness.ts';
import { chunks, collect, iterate } from '../memory-backend.ts';
import { ask, head, wire } from '../wire.ts';

const FACTS = { path: 'a', cid: 'bcid', version: 'bversion', final: true, height: null };

/** In three chunks, so that the reply has begun when it breaks. */
async function* breaking(sizeBytes: number, error: Error) {
  for (let part = 0; part < 3; part += 1) yield Buffer.alloc(sizeBytes / 3);
  throw error;
}

const badHash = new AegisError('BAD_HASH', 'object bafk is not what its name says');

it('tells why a download was cut, though HTTP cannot', async () => {
  await using h = await harness();
  h.backend.onGet = async () => ({
    ...FACTS,
    kind: 'file',
    sizeBytes: 2_100_000,
    bytes: breaking(2_100_000, badHash),
  });
  const content = await h.reader.content({ path: 'a' });
  await expect(collect(content.bytes)).rejects.toMatchObject({
    code: 'BAD_HASH',
    message: badHash.message,
    exit: 65,
  });
});

it('cuts a directory so that the tar cannot seem complete', async () => {
  await using h = await harness();
  h.backend.onGet = async () => ({
    ...FACTS,
    kind: 'directory',
    sizeBytes: 2_000_000,
    entries: iterate([
      {
        path: 'x',
        kind: 'file' as const,
        sizeBytes: 2_000_000,
        bytes: breaking(1_200_000, badHash),
      },
    ]),
  });
  const content = await h.reader.content({ path: 'a' });
  await expect(collect(content.bytes)).rejects.toMatchObject({ code: 'BAD_HASH' });
});

it('makes an error before the first byte an ordinary reply', async () => {
  await using h = await harness();
  const early: Download = { ...FACTS, kind: 'file', sizeBytes: 5, bytes: failing() };
  h.backend.onGet = async () => early;
  await expect(h.reader.content({ path: 'a' })).rejects.toMatchObject({ code: 'BAD_HASH' });
});

// oxlint-disable-next-line require-yield
async function* failing(): AsyncGenerator<Uint8Array, void> {
  throw badHash;
}

it.each([
  ['shorter', 9],
  ['longer', 11],
])('cuts a file that is %s than it claims', async (_, sizeBytes) => {
  await using h = await harness();
  const bytes = chunks(Buffer.alloc(10), 1);
  h.backend.onGet = async () => ({ ...FACTS, kind: 'file', sizeBytes, bytes });
  const content = await h.reader.content({ path: 'a' });
  await expect(collect(content.bytes)).rejects.toMatchObject({ code: 'BAD_DATA' });
});

it('cuts a file whose last check fails after its last byte', async () => {
  await using h = await harness();
  h.backend.onGet = async () => ({
    ...FACTS,
    kind: 'file',
    sizeBytes: 9,
    bytes: breaking(9, badHash),
  });
  const content = await h.reader.content({ path: 'a' });
  await expect(collect(content.bytes)).rejects.toMatchObject({ code: 'BAD_HASH' });
});

it('forgets old failures and knows no others', async () => {
  await using h = await harness({ limits: { failuresKept: 1 } });
  for (let time = 0; time < 2; time += 1) {
    h.backend.onGet = async () => ({
      ...FACTS,
      kind: 'file',
      sizeBytes: 20,
      bytes: breaking(9, badHash),
    });
    const content = await h.reader.content({ path: 'a' });
    await expect(collect(content.bytes)).rejects.toMatchObject({ code: 'BAD_HASH' });
  }
  await h.reader.call('failures.show', { params: { id: 'r2' } });
  const first = h.reader.call('failures.show', { params: { id: 'r1' } });
  await expect(first).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('tells the backend when the reader of a download hangs up', async () => {
  await using h = await harness();
  let ended = false;
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(100_000);
    } finally {
      ended = true;
    }
  }
  h.backend.onGet = async () => ({ ...FACTS, kind: 'file', sizeBytes: 1e12, bytes: endless() });
  const content = await h.reader.content({ path: 'a' });
  for await (const _ of content.bytes) break;
  await expect.poll(() => [ended, h.backend.signals[0]?.aborted]).toEqual([true, true]);
});

it('tells the backend when an upload is cut, and stores nothing', async () => {
  await using h = await harness();
  const { socket } = wire(h.paths.socket);
  const headers = {
    authorization: `Bearer ${h.adminToken}`,
    'content-type': 'application/octet-stream',
    'content-length': '1000',
  };
  socket.write(`${head('PUT /v1/kb/versions?path=a', headers)}12345`);
  await expect.poll(() => h.backend.signals.length).toBe(1);
  socket.destroy();
  await expect.poll(() => h.backend.signals[0]?.aborted).toBe(true);
  expect(h.backend.stored.size).toBe(0);
});

it('stores nothing when the source fails or is not as long as it said', async () => {
  await using h = await harness();
  const gone = new AegisError('UNREADABLE', 'the file is gone');
  const failed = h.client.put({ path: 'a' }, { kind: 'file', bytes: breaking(100_000, gone) });
  await expect(failed).rejects.toBe(gone);
  const short = { kind: 'file' as const, bytes: chunks(Buffer.alloc(10)), sizeBytes: 11 };
  await expect(h.client.put({ path: 'a' }, short)).rejects.toMatchObject({ code: 'UNREADABLE' });
  await expect.poll(() => h.backend.signals.every((signal) => signal.aborted)).toBe(true);
  expect(h.backend.stored.size).toBe(0);
});

it('ends an upload when its caller does', async () => {
  await using h = await harness();
  const interrupted = new AbortController();
  async function* source() {
    yield Buffer.alloc(1000);
    await expect.poll(() => h.backend.signals.length).toBe(1);
    interrupted.abort();
    yield Buffer.alloc(1000);
  }
  const put = h.client.put(
    { path: 'a' },
    { kind: 'file', bytes: source() },
    { signal: interrupted.signal },
  );
  await expect(put).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await expect.poll(() => h.backend.signals[0]?.aborted).toBe(true);
});

it('refuses before the body is sent, to a caller that asks first', async () => {
  await using h = await harness();
  let sent = 0;
  async function* source() {
    sent += 1;
    yield Buffer.alloc(1000);
  }
  const put = h.reader.put({ path: 'a' }, { kind: 'file', bytes: source() });
  await expect(put).rejects.toMatchObject({ code: 'DENIED' });
  expect(sent).toBe(0);
});

it('answers a refusal in the middle of an upload, which then ends', async () => {
  await using h = await harness();
  h.backend.put = async (_, upload) => {
    const bytes = upload.kind === 'file' ? upload.bytes : chunks(Buffer.alloc(0));
    for await (const chunk of bytes) if (chunk.length > 0) break;
    throw new AegisError('EXISTS', 'a shows another version');
  };
  let ended = false;
  async function* endless() {
    try {
      for (;;) yield Buffer.alloc(100_000);
    } finally {
      ended = true;
    }
  }
  const query = { path: 'a', ifVersion: 'v9' };
  const put = h.client.put(query, { kind: 'file', bytes: endless() });
  await expect(put).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
  await expect.poll(() => ended).toBe(true);
});

it('refuses a body of another kind', async () => {
  await using h = await harness();
  const headers = {
    authorization: `Bearer ${h.adminToken}`,
    'content-type': 'multipart/form-data',
    'content-length': '0',
  };
  const reply = await ask(h.paths.socket, head('PUT /v1/kb/versions?path=a', headers));
  expect(reply.status).toBe(400);
});

it('stores an empty file and an empty directory', async () => {
  await using h = await harness();
  const empty = await h.client.put(
    { path: 'f' },
    { kind: 'file', bytes: chunks(Buffer.alloc(0)), sizeBytes: 0 },
  );
  expect(empty.sizeBytes).toBe(0);
  const content = await h.reader.content({ path: 'f' });
  expect((await collect(content.bytes)).length).toBe(0);
  const tar = { kind: 'directory' as const, bytes: chunks(Buffer.alloc(1024)) };
  expect(await h.client.put({ path: 'd' }, tar)).toMatchObject({ kind: 'directory' });
});

it('refuses a tar that is cut, and stores nothing', async () => {
  await using h = await harness();
  const tar = { kind: 'directory' as const, bytes: chunks(Buffer.alloc(512)) };
  await expect(h.client.put({ path: 'd' }, tar)).rejects.toMatchObject({ code: 'BAD_DATA' });
  expect(h.backend.stored.size).toBe(0);
});
