import { describe, expect, it } from 'vitest';
import type { Finalised } from '../../../src/core/chain/types.ts';
import { KbFeed, WAITING_MAX } from '../../../src/core/node/kb-feed.ts';
import { versionOf } from '../kb/authors.ts';
import { ana } from './support/node.ts';

const { cid, cidText } = versionOf(ana, { path: 'any', sequence: 1 });

type Block = Parameters<KbFeed['finalised']>[0];

/** A block of one intent that moves these paths. */
function blockOf(height: number, paths: readonly string[], result = 'done'): Block {
  const changes = paths.map((path) => ({ path, version: cid, parents: [], generation: 1 }));
  return {
    height,
    time: Date.UTC(2026, 10, 22),
    receipts: [{ result }],
    signed: [{ intent: { author: ana.nodeId, changes } }],
  } as unknown as Pick<Finalised, 'height' | 'time' | 'receipts' | 'signed'>;
}

/** What a reader of the feed is told, one after another. */
function watch(feed: KbFeed, prefix: string, height: number) {
  const over = new AbortController();
  const records = feed.watch({ prefix, height }, over.signal);
  return { next: async () => (await records.next()).value, records, over };
}

describe('KbFeed', () => {
  it('tells what became final below a prefix, and nothing that was refused', async () => {
    const feed = new KbFeed();
    const { next } = watch(feed, 'a/', 4);
    expect(await next()).toEqual({
      ...{ type: 'ready', schema: 'aegis.kb.watch/1', prefix: 'a/', height: 4 },
    });
    feed.finalised(blockOf(5, ['a/1', 'b/1']));
    feed.finalised(blockOf(6, ['a/2'], 'refused'));
    feed.finalised(blockOf(7, ['a/3'], 'unchanged'));
    feed.finalised(blockOf(8, ['a/4']));
    expect(await next()).toEqual({
      ...{ type: 'change', path: 'a/1', height: 5, version: cidText, author: ana.nodeId },
      ...{ deleted: false, merge: false, time: '2026-11-22T00:00:00.000Z' },
    });
    expect(await next()).toMatchObject({ path: 'a/4', height: 8 });
  });

  it('says what a slow reader has missed, and goes on', async () => {
    const feed = new KbFeed();
    const { next } = watch(feed, '', 0);
    await next();
    const many = Array.from({ length: 256 }, (_, n) => `p${n}`);
    for (let height = 1; height <= WAITING_MAX / 256; height += 1) {
      feed.finalised(blockOf(height, many));
    }
    feed.finalised(blockOf(17, ['one too many']));
    feed.finalised(blockOf(18, ['told']));
    expect(await next()).toEqual({ type: 'gap', prefix: '', fromHeight: 1, toHeight: 17 });
    expect(await next()).toMatchObject({ type: 'change', path: 'told', height: 18 });
  });

  it('says which blocks it has never seen, as after a state taken from others', async () => {
    const feed = new KbFeed();
    const { next } = watch(feed, '', 3);
    await next();
    feed.finalised(blockOf(9, ['a']));
    expect(await next()).toEqual({ type: 'gap', prefix: '', fromHeight: 4, toHeight: 8 });
    expect(await next()).toMatchObject({ type: 'change', height: 9 });
  });

  it('ends when the reader does, also while there is nothing to tell', async () => {
    const feed = new KbFeed();
    const { next, over } = watch(feed, '', 0);
    await next();
    const waiting = next();
    over.abort();
    expect(await waiting).toBeUndefined();
  });
});
