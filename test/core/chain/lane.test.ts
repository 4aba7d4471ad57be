/** What waits of statements, and its limits: nobody fills the place of another. */
import { describe, expect, it, vi } from 'vitest';
import { judge } from '../../../src/core/chain/block-rules.ts';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import { StatementLane } from '../../../src/core/chain/statement-lane.ts';
import { LeaderSchedule } from '../../../src/core/consensus/schedule.ts';
import { createBlock } from '../../../src/core/model/block.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { StubKeyring } from '../../../src/core/sim/stub-scheme.ts';
import { Owner } from '../../helpers/owner.ts';
import {
  admissionOf,
  CLUSTER_ID,
  departureOf,
  intentOf,
  ledgerOf,
  membersOf,
  mempoolOf,
  statementOf,
} from './support/fixtures.ts';

/** Of all nodes; a test of a thousand would say no more. */
vi.mock(import('../../../src/core/chain/limits.ts'), async (importOriginal) => {
  const { LIMITS: real } = await importOriginal();
  expect(real.statements).toBe(1024);
  return { LIMITS: { ...real, statements: 8 as never } };
});

const rotation = (owner: Owner): SignedIntent => statementOf(owner.rotate(['network']).bytes);

function setUp() {
  const members = membersOf(4);
  const ledger = ledgerOf(members, 3);
  const lane = new StatementLane(CLUSTER_ID, ledger);
  return { members, ledger, lane, agent: members[3]!, custodian: members[0]! };
}

describe('the lane of statements', () => {
  it('takes entries in their order, and what follows only when it can', () => {
    const { lane, agent } = setUp();
    const [first, second] = [rotation(agent), rotation(agent)];
    expect(lane.add(second, 0)).toBe('bad-succession');
    expect([lane.add(first, 0), lane.add(second, 0), lane.add(first, 0)]).toEqual([
      'added',
      'added',
      'known',
    ]);
    expect(lane.take(1e6, 9, 0)).toEqual([first, second]);
    expect(lane.take(first.bytes.length, 9, 0)).toEqual([first]);
    expect(lane.take(1e6, 1, 0)).toEqual([first]);
    expect([lane.count, lane.bytes]).toEqual([2, first.bytes.length + second.bytes.length]);
  });

  it('holds four of a node, so that nobody fills it, and of others all the same', () => {
    const { lane, agent, custodian } = setUp();
    const entries = Array.from({ length: LIMITS.nodeStatements + 1 }, () => rotation(agent));
    const answers = entries.map((entry) => lane.add(entry, 0));
    expect(answers).toEqual([...answers.slice(1).map(() => 'added'), 'full']);
    expect(lane.add(rotation(custodian), 0)).toBe('added');
  });

  it('is full with so many of all nodes, and takes more when there is room', () => {
    const { lane, custodian } = setUp();
    const guests = Array.from({ length: LIMITS.statements + 1 }, (_, at) => new Owner(30 + at));
    const admissions = guests.map((guest) => admissionOf(custodian, guest, { expiresAt: 50 }));
    const answers = admissions.map((admission) => lane.add(admission, 0));
    expect(answers).toEqual([...answers.slice(1).map(() => 'added'), 'full']);
    expect([lane.endsBy(49), lane.endsBy(50)]).toEqual([false, true]);
    const out = lane.review(50);
    expect(out.map(({ result }) => result)).toEqual(answers.slice(1).map(() => 'bad-invitation'));
    expect([lane.count, lane.bytes]).toEqual([0, 0]);
  });

  it('reckons with the time of the next block, which a leader may have set ahead', () => {
    const { ledger, custodian } = setUp();
    const admission = admissionOf(custodian, new Owner(30), { expiresAt: 50 });
    const tip = { ...ledger.tip, header: { time: 49 } as never };
    const lane = new StatementLane(CLUSTER_ID, {
      roster: ledger.roster,
      registers: ledger.registers,
      tree: ledger.tree,
      tip,
    });
    // It would be work that no block can do.
    expect([lane.add(admission, 0), lane.count]).toEqual(['bad-invitation', 0]);
  });

  it('puts out what has been decided meanwhile, and what rests on it', () => {
    const { lane, ledger, agent } = setUp();
    const [first, departure] = [rotation(agent), departureOf(agent)];
    lane.add(first, 0);
    lane.add(departure, 0);
    ledger.roster.apply([{ ...ledger.roster.get(agent.nodeId)!, status: 'left' }]);
    expect(lane.review(0).map(({ result }) => result)).toEqual(['not-a-member', 'not-a-member']);
  });
});

describe('a block', () => {
  const { members, ledger, agent } = setUp();
  const custodians = members.slice(0, 3).map(({ nodeId }) => nodeId);
  const leaders = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 3 });
  const seeds = new StubKeyring('lane').seeds(0);
  const context = {
    clusterId: CLUSTER_ID,
    ledger,
    leaders,
    seeds,
  };
  const verdictOn = (intents: readonly SignedIntent[]): string => {
    const header = {
      clusterId: CLUSTER_ID,
      height: 1,
      previous: new Uint8Array(32),
      time: 5,
      proposer: custodians[leaders.leaderOf(1, 0)]!,
      view: 0,
      protocol: ledger.protocol,
      stateRoot: new Uint8Array(32),
      custodians: ledger.custodians.digest,
      leaders: new Uint8Array(32),
    };
    const block = createBlock(
      header,
      intents.map(({ bytes }) => bytes),
    );
    const judgement = judge(context, block, intents);
    return judgement.isValid ? 'valid' : judgement.why;
  };

  it('holds a statement once, and so many of them', () => {
    const entry = rotation(agent);
    expect(verdictOn([entry])).toMatch(/another state root/);
    expect(verdictOn([entry, entry])).toMatch(/twice/);
    const many = Array.from({ length: LIMITS.blockStatements + 1 }, () => rotation(agent));
    expect(verdictOn(many)).toMatch(/too many statements/);
    expect(verdictOn(many.slice(1))).not.toMatch(/too many/);
  });

  it('A2: holds no intent of another key epoch than its author’s', () => {
    const owner = members[1]!;
    const old = intentOf(owner, 1, { version: 'a' });
    owner.rotate(['identity']);
    expect(verdictOn([old])).toMatch(/another state root/);
    expect(verdictOn([intentOf(owner, 1, { version: 'a' })])).toMatch(/key epoch/);
  });

  it('is filled with statements before intents', () => {
    const mempool = mempoolOf(ledger, agent.nodeId);
    const intent = intentOf(members[2]!, 1, { version: 'a' });
    mempool.add(intent, 0);
    expect(mempool.hasWork).toBe(true);
    const before = mempool.bytes;
    const entry = statementOf(members[2]!.rotate(['onion'], { expiresAt: { onion: 9e12 } }).bytes);
    expect(mempool.statements.add(entry, 0)).toBe('added');
    expect([mempool.count, mempool.bytes - before]).toEqual([2, entry.bytes.length]);
    expect(mempool.get(entry.digest)).toBe(entry);
    expect(mempool.takeAll(1e6, 9, 0)).toEqual([entry, intent]);
    expect(mempool.takeAll(entry.bytes.length + 5, 9, 0)).toEqual([entry]);
  });
});
