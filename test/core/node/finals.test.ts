import { expect, test } from 'vitest';
import type { Receipt } from '../../../src/core/chain/execution.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { createIntent } from '../../../src/core/model/intent.ts';
import type { ChainRoom } from '../../../src/core/node/chain-room.ts';
import { Finals } from '../../../src/core/node/finals.ts';
import { IntentViews } from '../../../src/core/node/intent-views.ts';
import { contextOf } from '../../helpers/names.ts';
import { versionOf } from '../kb/authors.ts';
import { ana, Rows, TestNode } from './support/node.ts';

const versionAt = (sequence: number) => versionOf(ana, { path: 'a', sequence });

const signedOf = (sequence: number) => {
  const { cid: version } = versionAt(sequence);
  const changes = [{ path: 'a', version, parents: [], generation: 1 }];
  return createIntent(
    { author: ana.nodeId, sequence, time: 1, changes },
    contextOf('c'),
    ana.signer,
  );
};

/** A block with one intent. */
function decided(height: number, sequence: number, result: Receipt['result']) {
  const signed = signedOf(sequence);
  const facts = { author: ana.nodeId, sequence, height, index: 0 };
  return { height, signed: [signed], receipts: [{ id: signed.id, ...facts, result }] };
}

test('what is learned is found at once, and after a restart', async () => {
  const rows = new Rows();
  const finals = await Finals.open(rows);
  expect(finals.height).toBe(0);
  finals.learn(decided(1, 1, 'done'));
  finals.learn(decided(2, 2, 'refused'));
  const names = [1, 2, 3].map((sequence) => versionAt(sequence).cidText);
  const expected = [{ height: 1, result: 'done' }, { height: 2, result: 'refused' }, undefined];
  expect(await finals.find(names)).toEqual(expected);
  await finals.close();
  const again = await Finals.open(rows);
  expect(again.height).toBe(2);
  expect(await again.find(names)).toEqual(expected);
});

test('what was done stays done; what was refused may be done later', async () => {
  const rows = new Rows();
  const finals = await Finals.open(rows);
  finals.learn(decided(1, 1, 'done'));
  await finals.close();
  finals.learn(decided(2, 2, 'refused'));
  finals.learn(decided(3, 1, 'refused'));
  finals.learn(decided(4, 2, 'done'));
  finals.withdraw([signedOf(2)], 5);
  await finals.close();
  const again = await Finals.open(rows);
  expect(await again.get(versionAt(1).cidText)).toEqual({ height: 1, result: 'done' });
  expect(await again.get(versionAt(2).cidText)).toEqual({ height: 4, result: 'done' });
});

test('what was withdrawn is on the disk once that is said, or it is not said', async () => {
  const rows = new Rows();
  let isFull = false;
  const finals = await Finals.open({
    get: rows.get.bind(rows),
    getMany: rows.getMany.bind(rows),
    commit: async (...args: Parameters<Rows['commit']>) => {
      if (isFull) throw new AegisError('DISK_FULL', 'full');
      await rows.commit(...args);
    },
  });
  finals.learn({ height: 1, signed: [], receipts: [] });
  finals.withdraw([signedOf(1)], 1);
  await finals.saved();
  // As after kill -9: nothing is closed.
  const again = await Finals.open(rows);
  expect(await again.get(versionAt(1).cidText)).toEqual({ height: 1, result: 'refused' });
  isFull = true;
  finals.withdraw([signedOf(2)], 1);
  await expect(finals.saved()).rejects.toMatchObject({ code: 'DISK_FULL' });
  isFull = false;
  await finals.saved();
  expect(await again.get(versionAt(2).cidText)).toMatchObject({ result: 'refused' });
  await finals.close();
});

test('an operator hears that an intent is cancelled when it stays so', async () => {
  const node = await TestNode.make({ content: undefined as never });
  node.chain.isQuick = false;
  const { cid: version } = versionAt(1);
  const changes = [{ path: 'a', version, parents: [], generation: 1 }];
  const [queued] = await node.desk.submit([changes]);
  const rows = new Rows();
  const finals = await Finals.open(rows);
  const { desk, chain } = node;
  const room = { desk, chain, finals } as unknown as ChainRoom;
  const views = new IntentViews({ context: contextOf('c'), room, nameOf: () => null });
  const context = { signal: new AbortController().signal } as Parameters<IntentViews['cancel']>[2];
  // The desk finds out and the index is told in one turn, as `ChainDesk` does it.
  const tell = desk.tell.bind(desk);
  desk.tell = (outcome) => {
    const replaced = tell(outcome);
    if (outcome.type === 'finalised') finals.withdraw(replaced, outcome.height);
    return replaced;
  };
  const cancelling = views.cancel(queued!.id, { timeoutMs: 5000 }, context);
  await expect.poll(() => chain.pending()[0]?.signed.intent.changes.length).toBe(0);
  node.decide();
  expect(await cancelling).toMatchObject({ outcome: 'cancelled', height: 1 });
  const again = await Finals.open(rows);
  expect(await again.get(version.toString())).toEqual({ height: 1, result: 'refused' });
});

test('a full disk loses nothing that is learned', async () => {
  const rows = new Rows();
  let isFull = true;
  const store = {
    get: rows.get.bind(rows),
    getMany: rows.getMany.bind(rows),
    commit: async (...args: Parameters<Rows['commit']>) => {
      if (isFull) throw new Error('full');
      await rows.commit(...args);
    },
  };
  const finals = await Finals.open(store);
  finals.learn(decided(1, 1, 'done'));
  await finals.close();
  expect((await Finals.open(rows)).height).toBe(0);
  expect(await finals.get(versionAt(1).cidText)).toMatchObject({ height: 1 });
  isFull = false;
  finals.learn(decided(2, 2, 'done'));
  await finals.close();
  const again = await Finals.open(rows);
  expect(await again.get(versionAt(1).cidText)).toEqual({ height: 1, result: 'done' });
});

test('a large state is gone through again when taking it over was broken off', async () => {
  const heads = Array.from({ length: 5000 }, (_, n) => `head ${n}`);
  const rows = new Rows();
  const broken = await Finals.open(rows);
  const fails = function* fails(): Generator<string> {
    yield* heads;
    throw new AegisError('DISK_FULL', 'full');
  };
  await expect(broken.adopt(fails(), 7)).rejects.toMatchObject({ code: 'DISK_FULL' });
  // Blocks go on, but what is known is not complete.
  broken.learn(decided(8, 1, 'done'));
  await broken.close();
  expect([broken.height, (await Finals.open(rows)).height]).toEqual([0, 0]);
  const finals = await Finals.open(rows);
  await finals.adopt(heads, 8);
  await finals.close();
  const again = await Finals.open(rows);
  expect(again.height).toBe(8);
  expect(await again.find(['head 0', 'head 4999', versionAt(1).cidText])).toEqual([
    { height: 7, result: 'done' },
    { height: 7, result: 'done' },
    { height: 8, result: 'done' },
  ]);
});
