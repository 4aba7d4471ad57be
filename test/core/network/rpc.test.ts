import { describe, expect, it } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { Cluster, until } from './cluster.ts';

const NOTHING = new Uint8Array(0);

/** A handler that answers when told to. */
function held(): {
  handler: (from: string, body: Uint8Array) => Promise<Uint8Array>;
  release: () => void;
  count: () => number;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  return {
    handler: async (_from, body) => {
      count += 1;
      await promise;
      return body;
    },
    release: resolve,
    count: () => count,
  };
}

describe('requests', () => {
  it('carry typed failures, and hide what is not typed', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const to = cluster.members[1]!.nodeId;
    b.handle('typed', async () => {
      throw new AegisError('NOT_FOUND', 'no such thing', { hint: 'look elsewhere' });
    });
    b.handle('bug', async () => {
      throw new Error('/secret/path');
    });
    await expect(a.request(to, 'typed', NOTHING)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no such thing',
      hint: 'look elsewhere',
    });
    await expect(a.request(to, 'bug', NOTHING)).rejects.toMatchObject({
      code: 'BUG',
      message: expect.not.stringContaining('secret') as string,
    });
    await expect(a.request(to, 'unknown', NOTHING)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(a.request('aegis1nobody', 'typed', NOTHING)).rejects.toMatchObject({
      code: 'NOT_REACHABLE',
    });
  });

  it('end at their deadline and when cancelled, and the handler is told', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const to = cluster.members[1]!.nodeId;
    const aborted: string[] = [];
    b.handle('sleep', (_from, body, { signal }) => {
      const { promise, resolve } = Promise.withResolvers<Uint8Array>();
      signal.addEventListener('abort', () => {
        aborted.push(Buffer.from(body).toString());
        resolve(NOTHING);
      });
      return promise;
    });
    const late = a.request(to, 'sleep', Buffer.from('late'), { timeoutMs: 100 });
    await expect(late).rejects.toMatchObject({ code: 'TIMEOUT' });
    const controller = new AbortController();
    const cancelled = a.request(to, 'sleep', Buffer.from('cancelled'), {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 20);
    await expect(cancelled).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await until(() => aborted.length === 2);
    expect(aborted).toEqual(['late', 'cancelled']);
    const gone = a.request(to, 'sleep', NOTHING, { signal: AbortSignal.abort() });
    await expect(gone).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('wait for a place, and are refused when too many wait', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair({ rpcInFlight: 2, rpcQueue: 3 });
    const to = cluster.members[1]!.nodeId;
    const { handler, release, count } = held();
    b.handle('hold', handler);
    const five = Array.from({ length: 5 }, (_, i) => a.request(to, 'hold', Uint8Array.of(i)));
    await expect(a.request(to, 'hold', NOTHING)).rejects.toMatchObject({ code: 'BUSY' });
    await until(() => count() === 2);
    release();
    const replies = await Promise.all(five);
    expect(replies.map((reply) => reply[0])).toEqual([0, 1, 2, 3, 4]);
  });

  it('of one peer are answered so many at once; the rest is told BUSY', async () => {
    await using cluster = new Cluster(2);
    const b = await cluster.start(1, { limits: { rpcServing: 4, rpcServingBytes: 100_000 } });
    const a = await cluster.start(0, { limits: { rpcInFlight: 1000 } });
    await a.dial(b.addresses()[0]!, { timeoutMs: 5000 });
    const to = cluster.members[1]!.nodeId;
    const { handler, release } = held();
    b.handle('hold', handler);
    const flood = Array.from({ length: 300 }, () => a.request(to, 'hold', new Uint8Array(10)));
    const settled = Promise.allSettled(flood);
    await expect(flood[299]).rejects.toMatchObject({ code: 'BUSY' });
    release();
    const done = (await settled).filter((result) => result.status === 'fulfilled');
    expect(done).toHaveLength(4);
    const large = a.request(to, 'hold', new Uint8Array(100_001));
    await expect(large).rejects.toMatchObject({ code: 'BUSY' });
    const lines = cluster.lines.filter(
      (line) => line.fields['knob'] === 'limits.requestsAtOnce' && 'peer' in line.fields,
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]!.fields['peer']).toBe(cluster.members[0]!.nodeId);
  });

  it('and replies have a largest size, and the stream goes on after one too large', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair({ rpcMaxBytes: 50_000 });
    const to = cluster.members[1]!.nodeId;
    b.handle('make', async (_from, body) => new Uint8Array(Number(Buffer.from(body).toString())));
    const make = (bytes: number, maxReplyBytes?: number): Promise<Uint8Array> =>
      a.request(to, 'make', Buffer.from(`${bytes}`), maxReplyBytes ? { maxReplyBytes } : {});
    expect((await make(50_000)).byteLength).toBe(50_000);
    await expect(make(50_001)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(make(1001, 1000)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(a.request(to, 'make', new Uint8Array(50_001))).rejects.toMatchObject({
      code: 'TOO_LARGE',
    });
    expect((await make(1000, 1000)).byteLength).toBe(1000);
  });

  it('fail when the connection is cut, and work again after the next dial', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const to = cluster.members[1]!.nodeId;
    const { handler, release, count } = held();
    b.handle('hold', handler);
    const request = a.request(to, 'hold', Uint8Array.of(1));
    await until(() => count() === 1);
    const cut = expect(request).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
    await b.hangUp(cluster.members[0]!.nodeId);
    await cut;
    release();
    await until(() => a.peers().length === 0);
    await a.dial(b.addresses()[0]!, { timeoutMs: 5000 });
    expect(await a.request(to, 'hold', Uint8Array.of(2))).toHaveLength(1);
  });

  it('fail at once when the node stops', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const to = cluster.members[1]!.nodeId;
    const { handler, count } = held();
    b.handle('hold', handler);
    const request = a.request(to, 'hold', NOTHING);
    await until(() => count() === 1);
    const [result] = await Promise.allSettled([request, a.stop()]);
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STOPPING' } });
    await expect(a.dial(b.addresses()[0]!, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'STOPPING',
    });
  });
});

describe('envelopes', () => {
  it('are dropped when the peer is unknown or they are too large', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair({ envelopeMaxBytes: 1000 });
    const to = cluster.members[1]!.nodeId;
    const sizes: number[] = [];
    b.onEnvelope(({ body }) => sizes.push(body.byteLength));
    expect(a.send({ to: 'aegis1nobody', protocol: 'kb', body: NOTHING })).toBe(false);
    expect(a.send({ to, protocol: 'kb', body: new Uint8Array(1001) })).toBe(false);
    expect(a.send({ to, protocol: 'kb', body: new Uint8Array(1000) })).toBe(true);
    await until(() => sizes.length === 1);
    expect(sizes).toEqual([1000]);
  });

  it('arrive in order', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const seen: number[] = [];
    b.onEnvelope(({ body }) => seen.push(new DataView(body.buffer, body.byteOffset).getUint32(0)));
    for (let i = 0; i < 500; i += 1) {
      const body = new Uint8Array(4);
      new DataView(body.buffer).setUint32(0, i);
      a.send({ to: cluster.members[1]!.nodeId, protocol: 'kb', body });
    }
    await until(() => seen.length === 500);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });
});
