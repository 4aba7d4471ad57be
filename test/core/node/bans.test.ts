import { expect, test } from 'vitest';
import { createDuplicity } from '../../../src/core/model/statement.ts';
import { Bans } from '../../../src/core/node/bans.ts';
import { Duplicities } from '../../../src/core/node/duplicities.ts';
import { Owner } from '../../helpers/owner.ts';
import { Members } from './support/members.ts';
import { Rows } from './support/node.ts';

test('bans survive a restart, and each is news once', async () => {
  const rows = new Rows();
  const bans = await Bans.open(rows);
  expect([await bans.set('a', true), await bans.set('a', true)]).toEqual([true, false]);
  await bans.set('b', true);
  expect(await bans.set('b', false)).toBe(true);
  const again = await Bans.open(rows);
  expect([again.all(), again.has('a'), again.has('b'), again.size]).toEqual([
    ['a'],
    true,
    false,
    1,
  ]);
});

test('a ban holds at once, and stays when the disk is full', async () => {
  const commit = () => Promise.reject(new Error('the disk is full'));
  const bans = await Bans.open({ commit, scan: async () => [] });
  const set = bans.set('a', true);
  expect(bans.has('a')).toBe(true);
  await expect(set).rejects.toThrow('the disk is full');
  await expect(bans.set('a', false)).rejects.toThrow('the disk is full');
  expect(bans.has('a')).toBe(true);
});

test('evidence of two successions is kept once a node, and survives a restart', async () => {
  const rows = new Rows();
  const [one, two] = ['one', 'two'].map((salt) => new Owner(2, { salt }).rotate(['network']));
  const evidence = createDuplicity(one!, two!);
  const duplicities = await Duplicities.open(rows);
  expect([duplicities.keep(evidence), duplicities.keep(evidence)]).toEqual([true, false]);
  const again = await Duplicities.open(rows);
  expect(again.all()).toEqual(duplicities.all());
  expect(again.all()).toMatchObject([{ nodeId: one!.succession.nodeId, number: 1 }]);
});

test('an entry that contradicts a final one is evidence by itself', async () => {
  const bea = new Owner(2);
  const members = new Members(bea);
  const other = new Owner(2, { salt: 'other' }).rotate(['network']);
  bea.rotate(['network']);
  const duplicities = await Duplicities.open(new Rows());
  const statement = { type: 'succession', signed: other };
  const block = { signed: [{ statement, bytes: other.bytes }], receipts: [{ result: 'refused' }] };
  const learn = () => duplicities.learn(block as never, members.roster);
  members.finalise(bea);
  // Refused for another reason: the chain has frozen nobody.
  expect(learn()).toEqual([]);
  members.finalise(bea, { isFrozen: true });
  expect(learn()).toEqual([bea.nodeId]);
  expect(learn()).toEqual([]);
  expect(duplicities.count).toBe(1);
});
