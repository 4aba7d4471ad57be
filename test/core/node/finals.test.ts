import { expect, test } from 'vitest';
import type { Receipt } from '../../../src/core/chain/execution.ts';
import { createIntent } from '../../../src/core/model/intent.ts';
import { Finals } from '../../../src/core/node/finals.ts';
import { versionOf } from '../kb/authors.ts';
import { ana, Rows } from './support/node.ts';

const versionAt = (sequence: number) => versionOf(ana, { path: 'a', sequence });

const signedOf = (sequence: number) => {
  const { cid: version } = versionAt(sequence);
  const changes = [{ path: 'a', version, parents: [], generation: 1 }];
  return createIntent({ author: ana.nodeId, sequence, time: 1, changes }, 'c', ana.signer);
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
