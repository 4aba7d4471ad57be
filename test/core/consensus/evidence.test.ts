import { describe, expect, it } from 'vitest';
import {
  createEvidence,
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  evidenceKey,
  verifyEvidence,
} from '../../../src/core/consensus/evidence.ts';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import type { SlotKind } from '../../../src/core/consensus/types.ts';
import { A, B, Bench, digest } from './support/bench.ts';
import { CLUSTER_ID } from './support/cluster.ts';

const bench = new Bench();

function crime(kind: SlotKind, custodian: number, height = 1, view = 0): Evidence {
  const [one, other] = [A, B].map((value) => {
    const what = kind === 'timeout' ? { highView: value === A ? 1 : 0 } : { digest: value };
    return bench.share(custodian, { kind, height, view, ...what });
  });
  return createEvidence({ kind, custodian, height, view }, one!, other!);
}

const holds = (evidence: Evidence, cluster = CLUSTER_ID): boolean =>
  verifyEvidence(evidence, bench.scheme, cluster);

describe('evidence', () => {
  it.each(['prepare', 'commit', 'timeout'] as const)('of two of kind %s holds', (kind) => {
    const evidence = crime(kind, 2);
    expect(holds(evidence)).toBe(true);
    expect(decodeEvidence(encodeEvidence(evidence))).toEqual(evidence);
  });

  it('accuses nobody but who signed both, for nothing but that slot', () => {
    const evidence = crime('commit', 2);
    expect(holds({ ...evidence, custodian: 1 })).toBe(false);
    expect(holds({ ...evidence, kind: 'prepare' })).toBe(false);
    expect(holds({ ...evidence, kind: 'proposal' })).toBe(false);
    expect(holds({ ...evidence, kind: 'timeout' })).toBe(false);
    expect(holds({ ...evidence, height: 2 })).toBe(false);
    expect(holds({ ...evidence, view: 1 })).toBe(false);
    expect(holds(evidence, 'another cluster')).toBe(false);
    expect(holds({ ...evidence, custodian: 200 })).toBe(false);
  });

  it('takes two different claims, in one order', () => {
    const evidence = crime('timeout', 0);
    const [one, other] = evidence.claims;
    expect(createEvidence(evidence, other, one)).toEqual(evidence);
    expect(holds({ ...evidence, claims: [one, one] })).toBe(false);
    expect(holds({ ...evidence, claims: [other, one] })).toBe(false);
  });

  it('takes a timeout that names nothing for none that names view 0', () => {
    const shares = [undefined, 0].map((highView) => bench.share(1, { kind: 'timeout', highView }));
    const slot = { kind: 'timeout', custodian: 1, height: 1, view: 0 } as const;
    expect(holds(createEvidence(slot, shares[0]!, shares[1]!))).toBe(true);
    expect(holds(createEvidence(slot, shares[0]!, { ...shares[0]!, highView: 0 }))).toBe(false);
  });
});

describe('a replica', () => {
  it('finds two votes of one custodian, keeps them and tells all', () => {
    const replica = new Bench();
    replica.hear(0, replica.vote(0, 'prepare', A), replica.vote(0, 'prepare', B));
    const evidence = crime('prepare', 0);
    expect(replica.told('evidence')).toEqual([{ type: 'evidence', evidence, nodeId: 'node-000' }]);
    expect(replica.said('evidence')).toEqual([{ type: 'evidence', evidence }]);
    expect(replica.entries).toEqual([
      { table: 'consensus/evidence', key: evidenceKey(evidence), value: encodeEvidence(evidence) },
    ]);
    replica.restart();
    replica.hear(1, { type: 'evidence', evidence });
    expect(replica.told('evidence')).toEqual([]);
  });

  it('finds two proposals of a leader', () => {
    const replica = new Bench();
    replica.hear(0, replica.proposal(A), replica.proposal(B));
    expect(replica.told('evidence')).toMatchObject([
      { evidence: { kind: 'proposal', custodian: 0 } },
    ]);
    expect(holds(replica.told('evidence')[0]!.evidence)).toBe(true);
  });

  it('finds out by the vote of another what the leader told that one', () => {
    const replica = new Bench();
    replica.hear(0, replica.proposal(A));
    const vote = replica.vote(1, 'prepare', B);
    const proposal = replica.proposal(B).signature;
    replica.hear(1, { ...vote, proposal } as typeof vote);
    expect(replica.told('evidence')).toMatchObject([
      { evidence: { kind: 'proposal', custodian: 0 } },
    ]);
  });

  it('finds nothing where another made up what the leader signed', () => {
    const replica = new Bench();
    replica.hear(0, replica.proposal(A));
    const vote = replica.vote(1, 'prepare', B);
    const proposal = replica.proposal(B, { signer: 1 }).signature;
    replica.hear(1, { ...vote, proposal } as typeof vote);
    expect(replica.told('evidence')).toEqual([]);
    expect(replica.told('bad-share')).toMatchObject([{ from: 'node-001' }]);
  });

  it('believes evidence of others when it holds', () => {
    const replica = new Bench();
    const evidence = crime('commit', 1, 1, 2);
    replica.hear(0, { type: 'evidence', evidence });
    expect(replica.told('evidence')).toHaveLength(1);
    expect(replica.sent).toEqual([]);
    const forged = { ...evidence, view: 3 };
    replica.hear(0, { type: 'evidence', evidence: forged });
    expect(replica.told('bad-share')).toMatchObject([{ from: 'node-000', what: 'evidence' }]);
    replica.hear(0, { type: 'evidence', evidence: { ...evidence, custodian: 200 } });
    expect(replica.outcomes).toEqual([]);
  });

  it('keeps so much against one custodian and no more', () => {
    const replica = new Bench();
    for (let view = 1; view <= LIMITS.evidence + 5; view += 1) {
      replica.hear(0, { type: 'evidence', evidence: crime('commit', 1, 1, view) });
    }
    const kept = [...replica.rows.values()].filter(({ table }) => table === 'consensus/evidence');
    expect(kept).toHaveLength(LIMITS.evidence);
  });

  it('verifies so many lies of one sender in a height and no more', () => {
    const replica = new Bench();
    for (let view = 0; view < 100; view += 1) {
      const certificate = { ...replica.certificate('prepare', A), view, digest: digest(`${view}`) };
      replica.hear(0, { type: 'certificate', certificate });
    }
    expect(replica.verified.aggregate).toBe(LIMITS.lies);
  });
});
