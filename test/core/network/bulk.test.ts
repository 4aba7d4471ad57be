import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { Cluster, collect, until } from './cluster.ts';

const REQUEST = Buffer.from('want');

describe('bulk streams', () => {
  it('say why there is nothing, before the first byte', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    b.handleBulk(async () => {
      throw new AegisError('NOT_FOUND', 'no such root');
    });
    const stream = await a.openBulk(cluster.members[1]!.nodeId, REQUEST);
    await expect(collect(stream)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no such root',
    });
    await until(() => a.stats().bulkStreams + b.stats().bulkStreams === 0);
  });

  it('may be empty', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    b.handleBulk(async () => undefined);
    expect(await collect(await a.openBulk(cluster.members[1]!.nodeId, REQUEST))).toHaveLength(0);
  });

  it('never pass for whole when they were cut short', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const blob = randomBytes(200_000);
    for (const end of ['throw', 'hang up'] as const) {
      b.handleBulk(async (from, _request, out) => {
        await out.write(blob);
        if (end === 'throw') throw new AegisError('STORE_DAMAGED', 'a bad block');
        await b.hangUp(from);
      });
      const stream = await a.openBulk(cluster.members[1]!.nodeId, REQUEST);
      const code = end === 'throw' ? 'STORE_DAMAGED' : 'NOT_REACHABLE';
      await expect(collect(stream)).rejects.toMatchObject({ code });
    }
  });

  it('that stall are cut', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const ended = Promise.withResolvers<void>();
    b.handleBulk(async (_from, _request, out) => {
      await out.write(Uint8Array.of(1));
      out.signal.addEventListener('abort', () => ended.resolve());
      await ended.promise;
    });
    const stream = await a.openBulk(cluster.members[1]!.nodeId, REQUEST, { idleTimeoutMs: 150 });
    await expect(collect(stream)).rejects.toMatchObject({ code: 'STALLED' });
    await ended.promise;
    await until(() => b.stats().bulkStreams === 0);
  });

  it('that only drip are cut', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    b.handleBulk(async (_from, _request, out) => {
      while (!out.signal.aborted) {
        await out.write(Uint8Array.of(1));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    });
    const stream = await a.openBulk(cluster.members[1]!.nodeId, REQUEST, { idleTimeoutMs: 150 });
    await expect(collect(stream)).rejects.toMatchObject({ code: 'STALLED' });
    await until(() => b.stats().bulkStreams === 0);
  });

  it('stop the sender when the reader is slow, and in the end cut it', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair({ bulkIdleTimeoutMs: 400 });
    let written = 0;
    const failure = Promise.withResolvers<unknown>();
    b.handleBulk(async (_from, _request, out) => {
      try {
        for (let i = 0; i < 1000; i += 1) {
          await out.write(new Uint8Array(1 << 20));
          written += 1;
        }
      } catch (error) {
        failure.resolve(error);
        throw error;
      }
    });
    // Nobody reads: at most windows and buffers fill up.
    await a.openBulk(cluster.members[1]!.nodeId, REQUEST);
    expect(await failure.promise).toMatchObject({ code: 'STALLED' });
    expect(written).toBeLessThan(16);
  });

  it('go on when a slow reader reads again', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const blob = randomBytes(12_000_000);
    b.handleBulk((_from, _request, out) => out.write(blob));
    const parts: Uint8Array[] = [];
    for await (const part of await a.openBulk(cluster.members[1]!.nodeId, REQUEST)) {
      parts.push(part);
      if (parts.length % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(Buffer.compare(Buffer.concat(parts), blob)).toBe(0);
  });

  it('tell the sender when the reader has had enough', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const aborted = Promise.withResolvers<void>();
    b.handleBulk(async (_from, _request, out) => {
      out.signal.addEventListener('abort', () => aborted.resolve());
      for (;;) await out.write(new Uint8Array(100_000));
    });
    for await (const _part of await a.openBulk(cluster.members[1]!.nodeId, REQUEST)) break;
    await aborted.promise;
    const controller = new AbortController();
    const stream = await a.openBulk(cluster.members[1]!.nodeId, REQUEST, {
      signal: controller.signal,
    });
    controller.abort();
    await expect(collect(stream)).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await until(() => a.stats().bulkStreams + b.stats().bulkStreams === 0);
  });

  it('are bounded in number on both sides, in request and in bytes', async () => {
    await using cluster = new Cluster(2);
    const a = await cluster.start(0, { limits: { bulkPerPeer: 3, bulkMaxBytes: 1_000_000 } });
    const b = await cluster.start(1, { limits: { bulkPerPeer: 2, bulkRequestMaxBytes: 1000 } });
    await a.dial(b.addresses()[0]!, { timeoutMs: 5000 });
    const to = cluster.members[1]!.nodeId;
    const go = Promise.withResolvers<void>();
    b.handleBulk(async (_from, _request, out) => {
      await go.promise;
      await out.write(new Uint8Array(10));
    });
    const streams = [];
    for (let i = 0; i < 3; i += 1) streams.push(await a.openBulk(to, REQUEST));
    await expect(collect(streams[2]!)).rejects.toMatchObject({ code: 'BUSY' });
    go.resolve();
    expect(await collect(streams[0]!)).toHaveLength(10);
    expect(await collect(streams[1]!)).toHaveLength(10);
    const back = Array.from({ length: 3 }, () => b.openBulk(cluster.members[0]!.nodeId, REQUEST));
    const opened = await Promise.allSettled(back);
    expect(opened[2]).toMatchObject({ status: 'rejected', reason: { code: 'BUSY' } });
    for (const one of opened.slice(0, 2)) {
      if (one.status !== 'fulfilled') throw one.reason;
      await expect(collect(one.value)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    const long = await a.openBulk(to, new Uint8Array(1001));
    await expect(collect(long)).rejects.toMatchObject({ code: 'TOO_LARGE' });
    b.handleBulk((_from, _request, out) => out.write(new Uint8Array(1_000_001)));
    const large = await a.openBulk(to, REQUEST);
    await expect(collect(large)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });
});
