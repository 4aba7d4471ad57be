import { expect, it } from 'vitest';
import { mayVote } from '../../../src/core/node/may-vote.ts';
import { Blocks } from '../chain/support/blocks.ts';
import { type Member, membersOf, proposalOf } from '../chain/support/fixtures.ts';

it('custodians are heard, those to be, and those before the last hand-over; nobody else', () => {
  const members = membersOf(5);
  const [a, b, c, d, e] = members as [Member, Member, Member, Member, Member];
  const blocks = new Blocks(members, 3);
  const heard = (): string[] => {
    const { views, genesis } = blocks;
    const all = members.filter(({ nodeId }) => mayVote(views, genesis.custodians, nodeId));
    return all.map(({ nodeId }) => nodeId);
  };
  const idsOf = (...some: Member[]): string[] => some.map(({ nodeId }) => nodeId);
  expect(heard()).toEqual(idsOf(a, b, c));
  blocks.add(proposalOf(a, [{ op: 'add', nodeId: d.nodeId }], { createdAt: blocks.time }));
  expect(heard()).toEqual(idsOf(a, b, c, d));
  // B3: whoever goes may not have the block by which it goes.
  blocks.decide([a, b, c], [{ op: 'remove', nodeId: c.nodeId }]);
  expect(heard()).toEqual(idsOf(a, b, c, d));
  blocks.decide([a, b], [{ op: 'add', nodeId: e.nodeId }]);
  expect(heard()).toEqual(idsOf(a, b, d, e));
});
