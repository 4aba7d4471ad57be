import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { quorumOf } from '../../../src/core/consensus/quorum.ts';
import { PARAMETERS } from '../../../src/core/model/parameters.ts';
import { DAY } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { Blocks } from './support/blocks.ts';
import {
  admissionOf,
  approvalOf,
  type Member,
  membersOf,
  proposalOf,
  readinessOf,
  statementOf,
} from './support/fixtures.ts';

/** Four custodians and two agents. */
function setUp(custodians = 4, agents = 2, protocol?: number) {
  const members = membersOf(custodians + agents);
  const blocks = new Blocks(members, custodians, protocol);
  const [a, b, c, d] = members as [Member, Member, Member, Member];
  return { blocks, members, a, b, c, d, agent: members[custodians]!, other: members.at(-1)! };
}

const stateOf = (blocks: Blocks, id: string) => blocks.views.proposal(id);

describe('E2: a proposal', () => {
  it('is decided by a quorum of the custodians, and its proposer is one of them', () => {
    const { blocks, a, b, c, agent } = setUp();
    const proposal = proposalOf(a, [{ op: 'add', nodeId: agent.nodeId }]);
    expect(blocks.outcomes(proposal, approvalOf(b, proposal))).toEqual(['done', 'done']);
    expect(stateOf(blocks, proposal.id)).toMatchObject({ status: 'open' });
    expect(stateOf(blocks, proposal.id)?.approvals).toEqual([a.nodeId, b.nodeId].toSorted());
    expect(blocks.views.custodians().size).toBe(4);
    const executed = blocks.add(approvalOf(c, proposal));
    expect(stateOf(blocks, proposal.id)).toMatchObject({ status: 'done', effectiveAt: 3 });
    expect(blocks.views.custodians().nodeIds).toContain(agent.nodeId);
    expect(blocks.ledger.roster.get(agent.nodeId)?.role).toBe('custodian');
    expect(executed.custodians?.digest).toEqual(executed.block.header.custodians);
  });

  it('holds from its height, and not before', () => {
    const { blocks, a, b, c, agent } = setUp();
    const id = blocks.decide([a, b, c], [{ op: 'add', nodeId: agent.nodeId }], { at: 4 });
    expect(stateOf(blocks, id)).toMatchObject({ status: 'decided', effectiveAt: 4 });
    blocks.idle(a, 2);
    expect(blocks.views.custodians().size).toBe(4);
    const before = blocks.ledger.handovers.length;
    blocks.idle(a, 3);
    expect(blocks.views.custodians().size).toBe(5);
    expect(stateOf(blocks, id)?.status).toBe('done');
    expect(blocks.ledger.handovers.slice(before).map(({ height }) => height)).toEqual([3]);
  });

  it('is for custodians only, by the key in force, and none that is frozen', () => {
    const { blocks, a, b, agent } = setUp();
    const changes = [{ op: 'parameter', name: 'openWrites', value: 0 }] as const;
    const [byAgent, proposal] = [proposalOf(agent, changes), proposalOf(a, changes)];
    const early = approvalOf(b, proposal);
    const entry = statementOf(b.rotate(['identity']).bytes);
    const late = approvalOf(b, proposal);
    expect(blocks.outcomes(byAgent, proposal, approvalOf(agent, proposal), late, entry)).toEqual([
      'not-a-custodian',
      'done',
      'not-a-custodian',
      'not-a-custodian',
      'done',
    ]);
    expect(blocks.outcomes(early, late, approvalOf(b, { digest: 'ab'.repeat(32) }))).toEqual([
      'not-a-custodian',
      'done',
      'no-such-proposal',
    ]);
    blocks.ledger.roster.apply([{ ...blocks.ledger.roster.get(b.nodeId)!, isFrozen: true }]);
    expect(stateOf(blocks, proposal.id)?.approvals).toEqual([a.nodeId]);
  });

  it('E4: ends at its time, at most 30 days on, and is one of a few', () => {
    const { blocks, a, b } = setUp();
    const changes = [{ op: 'parameter', name: 'agentPaths', value: 1 }] as const;
    const { time } = blocks;
    const brief = proposalOf(a, changes, { createdAt: time, expiresAt: time + 1 });
    const far = proposalOf(a, changes, { createdAt: time + DAY, expiresAt: time + 31 * DAY });
    const over = proposalOf(a, changes, { createdAt: time - 2, expiresAt: time });
    expect(blocks.outcomes(brief, far, over)).toEqual(['done', 'bad-proposal', 'expired']);
    expect(blocks.outcomes(approvalOf(b, brief))).toEqual(['expired']);
    expect(stateOf(blocks, brief.id)?.status).toBe('expired');
    const many = Array.from({ length: LIMITS.openProposals + 1 }, () => proposalOf(a, changes));
    const outcomes = blocks.outcomes(...many, proposalOf(b, changes));
    expect(outcomes.slice(-3)).toEqual(['done', 'too-many-proposals', 'done']);
  });

  it('that is over is told a while', () => {
    const { blocks, a } = setUp(1);
    const decide = () => {
      const expiresAt = blocks.time + 1;
      return blocks.decide([a], [{ op: 'parameter', name: 'openWrites', value: 1 }], { expiresAt });
    };
    const first = decide();
    for (let more = 1; more < LIMITS.endedProposals; more += 1) decide();
    expect(stateOf(blocks, first)?.status).toBe('done');
    const last = decide();
    expect([stateOf(blocks, first), stateOf(blocks, last)?.status]).toEqual([undefined, 'done']);
    expect(blocks.restart().tree.root).toEqual(blocks.ledger.tree.root);
  });

  it('is not decided again, whatever one custodian brings up in between', () => {
    const { blocks, a, b, c, d, agent } = setUp();
    const { time: createdAt } = blocks;
    const add = proposalOf(a, [{ op: 'add', nodeId: agent.nodeId }], { createdAt });
    const approvals = [approvalOf(b, add), approvalOf(c, add)];
    blocks.add(add, ...approvals);
    expect(blocks.views.custodians().size).toBe(5);
    blocks.decide([a, b, c, d], [{ op: 'remove', nodeId: agent.nodeId }]);
    expect(blocks.views.custodians().size).toBe(4);
    const changes = [{ op: 'parameter', name: 'agentPaths', value: 1 }] as const;
    for (let more = 0; more < 2 * LIMITS.endedProposals; more += LIMITS.openProposals) {
      const { time } = blocks;
      const times = { createdAt: time, expiresAt: time + 1 };
      blocks.add(
        ...Array.from({ length: LIMITS.openProposals }, () => proposalOf(d, changes, times)),
      );
      blocks.add(blocks.intent(d));
    }
    expect(blocks.outcomes(add, ...approvals)).toEqual(['unchanged', 'unchanged', 'unchanged']);
    expect(blocks.views.custodians().size).toBe(4);
  });
});

describe('E3: changes', () => {
  it('are all made or none, and say why', () => {
    const { blocks, a, b, c, agent, other } = setUp();
    const stranger = new Owner(80).nodeId;
    const zone = { op: 'zone', nodeId: agent.nodeId, zone: 'other' } as const;
    const impossible = [
      { op: 'expel', nodeId: stranger },
      { op: 'add', nodeId: a.nodeId },
      { op: 'remove', nodeId: other.nodeId },
      { op: 'protocol', version: 7 },
      { op: 'namespace', path: 'x', owners: [stranger], writers: [] },
      {
        op: 'quota',
        nodeId: stranger,
        changesPerHour: 1,
        bytesPerHour: null,
        paths: null,
      },
    ] as const;
    for (const change of impossible) {
      const id = blocks.decide([a, b, c], [zone, change]);
      expect(stateOf(blocks, id)).toMatchObject({ status: 'void', why: expect.any(String) });
      expect(blocks.ledger.roster.get(agent.nodeId)?.zone).not.toBe('other');
    }
    blocks.decide([a, b, c], [zone, { op: 'weight', nodeId: agent.nodeId, storageWeight: 3 }]);
    expect(blocks.ledger.roster.get(agent.nodeId)).toMatchObject({
      zone: 'other',
      storageWeight: 3,
      role: 'agent',
    });
    blocks.decide([a, b, c], [{ op: 'parameter', name: 'agentPaths', value: 5 }]);
    expect(blocks.views.parameters()).toEqual({
      ...Object.fromEntries(Object.entries(PARAMETERS).map(([name, { first }]) => [name, first])),
      agentPaths: 5,
    });
    const restarted = blocks.restart();
    expect(restarted.roster.get(agent.nodeId)).toMatchObject({ zone: 'other', storageWeight: 3 });
    expect(restarted.registers.parameters).toEqual(blocks.views.parameters());
  });

  it('never leave a cluster without custodians', () => {
    const { blocks, a, agent } = setUp(1, 1);
    const remove = { op: 'remove', nodeId: a.nodeId } as const;
    const id = blocks.decide([a], [remove]);
    expect(stateOf(blocks, id)).toMatchObject({ status: 'void' });
    // Whoever comes in the same proposal counts.
    blocks.decide([a], [remove, { op: 'add', nodeId: agent.nodeId }]);
    expect(blocks.views.custodians().nodeIds).toEqual([agent.nodeId]);
    expect(blocks.outcomes(proposalOf(a, [remove]))).toEqual(['not-a-custodian']);
  });

  it('expel a member, whose intents count no more', () => {
    const { blocks, a, b, c, d } = setUp();
    blocks.decide([a, b, c], [{ op: 'expel', nodeId: d.nodeId }]);
    expect(blocks.ledger.roster.get(d.nodeId)).toMatchObject({ status: 'left', role: 'agent' });
    expect(blocks.views.custodians().size).toBe(3);
    expect(() => blocks.add(blocks.intent(d, { version: 'a' }))).toThrow('no member');
    // Three custodians need three approvals; d's are none of them.
    const proposal = proposalOf(a, [{ op: 'parameter', name: 'openWrites', value: 0 }]);
    expect(blocks.outcomes(proposal, approvalOf(d, proposal))).toEqual(['done', 'not-a-custodian']);
  });

  it('decide in the order of their heights', () => {
    const { blocks, a, b, c } = setUp();
    const set = (value: number, at: number) =>
      blocks.decide([a, b, c], [{ op: 'parameter', name: 'agentPaths', value }], { at });
    set(1, 6);
    set(2, 6);
    set(3, 5);
    blocks.idle(a, 4);
    expect(blocks.views.parameters().agentPaths).toBe(3);
    blocks.idle(a, 5);
    expect(blocks.views.parameters().agentPaths).toBe(2);
  });
});

describe('V2: a raise of the protocol version', () => {
  const raise = [{ op: 'protocol', version: 2 }] as const;

  it('waits for a quorum that is ready', () => {
    const { blocks, members, a, b, c, d } = setUp(4, 1, 1);
    expect(blocks.outcomes(readinessOf(a, 2), readinessOf(members[4]!, 2))).toEqual([
      'done',
      'not-a-custodian',
    ]);
    blocks.decide([a, b, c], raise);
    expect(blocks.views.protocol()).toMatchObject({ version: 1, raise: 2, ready: [a.nodeId] });
    blocks.add(readinessOf(b, 2, 5));
    // It counts no more, and an old statement does not bring it back.
    expect(blocks.outcomes(readinessOf(b, 1, 6), readinessOf(b, 2, 5))).toEqual([
      'done',
      'bad-readiness',
    ]);
    expect(blocks.restart().registers.protocol).toEqual({ version: 1, raise: 2 });
    blocks.add(readinessOf(c, 2), readinessOf(d, 3));
    expect(blocks.views.protocol()).toMatchObject({ version: 2, raise: undefined });
    const { block } = blocks.add(blocks.intent(a, { version: 'a' }));
    expect(block.header.protocol).toBe(2);
    expect(blocks.restart().protocol).toBe(2);
  });

  it('comes not before its height, and one at a time', () => {
    const { blocks, a, b, c, d } = setUp(4, 0, 1);
    blocks.add(...[a, b, c, d].map((member) => readinessOf(member, 9)));
    const first = blocks.decide([a, b, c], raise, { at: 6 });
    const second = blocks.decide([a, b, c], raise, { at: 6 });
    blocks.idle(a, 4);
    expect(blocks.ledger.protocol).toBe(1);
    blocks.idle(a, 5);
    expect(blocks.ledger.protocol).toBe(2);
    const statuses = [first, second].map((id) => stateOf(blocks, id)?.status);
    expect(new Set(statuses)).toEqual(new Set(['done', 'void']));
  });
});

/** What a random run does: member by number. */
const step = fc.oneof(
  fc.record({ do: fc.constant('propose' as const), who: fc.nat(5) }),
  fc.record({ do: fc.constant('approve' as const), who: fc.nat(5), which: fc.nat(3) }),
  fc.record({ do: fc.constant('rotate' as const), who: fc.nat(5) }),
  fc.record({ do: fc.constant('swap' as const), who: fc.nat(5) }),
);

describe('under approvals, removals and rotations in any order', () => {
  it('E2, E4: what is decided has a quorum of those in force, and what is not has none', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 24 }), (steps) => {
        const members = membersOf(6);
        const blocks = new Blocks(members, 4);
        const custodians = new Set(members.slice(0, 4).map(({ nodeId }) => nodeId));
        /** The model: key epochs of approvals by proposal. */
        const open = new Map<string, Map<string, number>>();
        const counts = (approvals: Map<string, number>): number =>
          members.filter(
            ({ nodeId, state }) =>
              custodians.has(nodeId) && approvals.get(nodeId) === state.keyEpoch,
          ).length;
        const settle = (id: string, approvals: Map<string, number>): void => {
          const isDecided = counts(approvals) >= quorumOf(custodians.size);
          expect(stateOf(blocks, id)?.status).toBe(isDecided ? 'done' : 'open');
          if (isDecided) open.delete(id);
        };
        for (const one of steps) {
          const member = members[one.who]!;
          const { nodeId } = member;
          const isIn = custodians.has(nodeId);
          if (one.do === 'propose') {
            const proposal = proposalOf(member, [{ op: 'weight', nodeId, storageWeight: 1 }]);
            const approvals = new Map([[nodeId, member.state.keyEpoch]]);
            expect(blocks.outcomes(proposal)).toEqual([isIn ? 'done' : 'not-a-custodian']);
            if (!isIn) continue;
            open.set(proposal.id, approvals);
            settle(proposal.id, approvals);
          } else if (one.do === 'approve') {
            const [id, approvals] = [...open][one.which] ?? [];
            if (id === undefined || approvals === undefined) continue;
            const before = new Map(approvals);
            if (isIn) approvals.set(nodeId, member.state.keyEpoch);
            const isNew = before.get(nodeId) !== member.state.keyEpoch;
            const isDecided = isIn && counts(approvals) >= quorumOf(custodians.size);
            const expected = isIn ? (isNew || isDecided ? 'done' : 'unchanged') : 'not-a-custodian';
            expect(blocks.outcomes(approvalOf(member, { digest: id }, blocks.time))).toEqual([
              expected,
            ]);
            if (isIn) settle(id, approvals);
          } else if (one.do === 'rotate') {
            expect(blocks.outcomes(statementOf(member.rotate(['identity']).bytes))).toEqual([
              'done',
            ]);
          } else {
            if (isIn && custodians.size === 1) continue;
            const voters = members.filter((other) => custodians.has(other.nodeId));
            blocks.decide(voters, [{ op: isIn ? 'remove' : 'add', nodeId }]);
            if (isIn) custodians.delete(nodeId);
            else custodians.add(nodeId);
          }
          expect(blocks.views.custodians().nodeIds).toEqual([...custodians].toSorted());
        }
        const restarted = blocks.restart();
        expect(restarted.tree.root).toEqual(blocks.ledger.tree.root);
        expect(restarted.registers.proposals).toEqual(blocks.ledger.registers.proposals);
        expect(restarted.custodians.digest).toEqual(blocks.ledger.custodians.digest);
        expect(restarted.handovers).toEqual(blocks.ledger.handovers);
      }),
      { numRuns: 25 },
    );
  });
});

describe('an admitted member', () => {
  it('becomes custodian by approval, and not by what it says of itself', () => {
    const { blocks, a, b, c } = setUp();
    const guest = new Owner(40);
    expect(blocks.outcomes(admissionOf(a, guest))).toEqual(['done']);
    expect(blocks.ledger.roster.get(guest.nodeId)?.role).toBe('agent');
    blocks.decide([a, b, c], [{ op: 'add', nodeId: guest.nodeId }]);
    expect(blocks.restart().custodians.nodeIds).toContain(guest.nodeId);
  });
});
