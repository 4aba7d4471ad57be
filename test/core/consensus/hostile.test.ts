import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRows } from '../../../src/core/consensus/journal.ts';
import type { ConsensusMessage } from '../../../src/core/consensus/messages.ts';
import type { ReplicaInput } from '../../../src/core/consensus/replica.ts';
import { digestMessage, timeoutMessage } from '../../../src/core/consensus/signed-bytes.ts';
import type { Certificate } from '../../../src/core/consensus/types.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { A, B, Bench } from './support/bench.ts';
import { Cluster, nodeIdOf } from './support/cluster.ts';
import { WireChecker } from './support/wire-checker.ts';

const view = fc.oneof(fc.nat(4), fc.nat(80), fc.constantFrom(2 ** 32 - 1, 2 ** 32 - 2));
const height = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom(2 ** 48 - 1));
const value = fc.constantFrom(A, B);
const from = fc.nat(2);
const phase = fc.constantFrom('prepare' as const, 'commit' as const);
/** Whether a signature is spoilt. */
const isBad = fc.boolean();

/** Messages of three custodians who may say anything, together and with sound signatures. */
function hostile(bench: Bench): fc.Arbitrary<[number, ConsensusMessage]> {
  const spoil = <T extends { readonly signature: Uint8Array }>(bad: boolean, message: T): T =>
    bad ? { ...message, signature: message.signature.map((byte) => byte ^ 1) } : message;
  const certificate = fc
    .tuple(phase, value, view, height, isBad)
    .map(([kind, digest, v, h, bad]) =>
      spoil(bad, bench.certificate(kind, digest, { view: v, height: h })),
    );
  const high = fc.option(certificate, { nil: undefined });
  const timeouts = fc
    .tuple(view, height, fc.array(high, { minLength: 3, maxLength: 3 }), isBad)
    .map(([v, h, highs, bad]) =>
      spoil(bad, bench.timeouts(v, new Map(highs.map((named, i) => [i, named])), h)),
    );
  const share = fc
    .tuple(fc.constantFrom('prepare' as const, 'timeout' as const), value, view, height, fc.nat(3))
    .map(([kind, digest, v, h, signer]) => {
      const what = kind === 'timeout' ? {} : { digest };
      return bench.share(signer, { kind, view: v, height: h, ...what });
    });
  const message: fc.Arbitrary<ConsensusMessage> = fc.oneof(
    fc
      .tuple(value, view, height, fc.option(timeouts, { nil: undefined }), high, fc.nat(2), isBad)
      .map(([digest, v, h, timeout, previous, signer, bad]) => {
        const proof = { ...(timeout && { timeout }), ...(previous && { previous }) };
        return spoil(bad, bench.proposal(digest, { view: v, height: h, signer, ...proof }));
      }),
    fc
      .tuple(fc.nat(3), phase, value, view, height)
      .map(([signer, kind, digest, v, h]) => bench.vote(signer, kind, digest, v, h)),
    fc
      .tuple(fc.nat(3), view, high, height)
      .map(([signer, v, named, h]) => bench.timeout(signer, v, named, h)),
    certificate.map((c): ConsensusMessage => ({ type: 'certificate', certificate: c })),
    timeouts.map((t): ConsensusMessage => ({ type: 'timeout-certificate', certificate: t })),
    fc
      .tuple(height, view, high, high, fc.option(timeouts, { nil: undefined }), share, fc.nat(3))
      .map(([h, v, commit, named, timeout, seen, ask]): ConsensusMessage => {
        const proof = { commit, high: named, timeout, seen };
        return { type: 'status', height: h, view: v, ...proof, ask, answer: 0 };
      }),
  );
  return fc.tuple(from, message);
}

/** What the chain, the clock and the network may bring in between. */
const other: fc.Arbitrary<ReplicaInput> = fc.oneof(
  fc.boolean().map((isWaiting): ReplicaInput => ({ type: 'work', isWaiting })),
  fc.constantFrom('view', 'repeat', 'catch-up', 'x').map((key): ReplicaInput => {
    return { type: 'alarm', key };
  }),
  fc.tuple(fc.boolean(), from).map(([isUp, index]): ReplicaInput => {
    return { type: isUp ? 'peer-up' : 'peer-down', nodeId: nodeIdOf(index) };
  }),
  fc
    .tuple(value, fc.boolean(), fc.nat(3), fc.integer({ min: 1, max: 3 }))
    .map(([digest, isValid, v, h]): ReplicaInput => {
      return { type: 'verdict', height: h, digest, isValid, view: v };
    }),
  fc.tuple(value, fc.nat(3), fc.integer({ min: 1, max: 3 })).map(([digest, v, h]): ReplicaInput => {
    return { type: 'proposal', height: h, view: v, digest, payload: Uint8Array.of(1) };
  }),
);

describe('whatever others say', () => {
  it('never throws, never signs twice, and stays within limits', () => {
    const maker = new Bench();
    const event = fc.oneof(
      { weight: 4, arbitrary: hostile(maker) },
      { weight: 2, arbitrary: other },
      { weight: 1, arbitrary: fc.constant('restart' as const) },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.boolean(), (events, toLeader) => {
        const bench = new Bench({ fanout: toLeader ? 'leader' : 'all' });
        const checker = new WireChecker();
        for (const next of events) {
          bench.now += 40;
          if (next === 'restart') bench.restart();
          else if (Array.isArray(next)) bench.hear(...next);
          else bench.step(next);
          for (const { to, message } of bench.sent) checker.see({ from: 3, to, message });
          expect(bench.sent.length).toBeLessThan(60);
          expect(bench.outcomes.length).toBeLessThan(40);
        }
        expect(checker.faults).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('a quorum of liars moves a replica, but no single one does', () => {
    const bench = new Bench();
    const forged = (certificate: Certificate): Certificate => ({
      ...certificate,
      signers: [0, 1, 3],
    });
    bench.hear(0, { type: 'certificate', certificate: forged(bench.certificate('commit', A)) });
    bench.hear(0, bench.timeout(0, 40), bench.timeout(0, 2 ** 31));
    bench.hear(0, bench.vote(0, 'prepare', A, 60), bench.vote(0, 'commit', A, 65));
    expect(bench.replica.status()).toMatchObject({ height: 1, view: 0, behindTo: undefined });
  });
});

describe('a restart from the rows', () => {
  it('after any step keeps the rules', () => {
    const counts = Array.from({ length: 24 }, (_, steps) => steps + 1);
    for (const when of ['before', 'after'] as const) {
      for (const count of counts) {
        const cluster = new Cluster({ custodians: 4, seed: `${when} ${count}` });
        const checker = new WireChecker();
        cluster.onSend = (envelope) => checker.see(envelope);
        cluster.start();
        const node = cluster.nodes[count % 4]!;
        let left = count;
        node.crashes = () => {
          left -= 1;
          return left === 0 ? when : undefined;
        };
        for (const each of cluster.nodes) each.work(true);
        expect(cluster.runUntil(() => !node.isUp)).toBe(true);
        node.boot();
        node.connect();
        expect(cluster.runTo(5)).toBe(true);
        expect(checker.faults).toEqual([]);
      }
    }
  });

  it('refuses rows that it has not written', () => {
    const key = fc.constantFrom('final', 'slot', 'entry', 'high', 'named', 'doubt', 'absolved');
    fc.assert(
      fc.property(key, fc.uint8Array({ maxLength: 80 }), (name, bytes) => {
        try {
          readRows([{ table: 'consensus/replica', key: name, value: bytes }]);
          return false;
        } catch (error) {
          return hasCode(error, 'STORE_DAMAGED');
        }
      }),
    );
  });
});

describe('signed bytes', () => {
  it('differ for everything that is said', () => {
    const kinds = ['proposal', 'prepare', 'commit'] as const;
    const all = ['c', 'cc'].flatMap((cluster) =>
      [1, 2, 2 ** 48 - 1].flatMap((h) =>
        [0, 1, 2 ** 32 - 1].flatMap((v) => [
          ...kinds.flatMap((kind) => [A, B].map((d) => digestMessage(cluster, kind, h, v, d))),
          ...[undefined, 0, 1].map((named) => timeoutMessage(cluster, h, v, named)),
        ]),
      ),
    );
    const texts = all.map((bytes) => Buffer.from(bytes).toString('hex'));
    expect(new Set(texts).size).toBe(2 * 3 * 3 * 9);
    expect(Buffer.from(digestMessage('c', 'commit', 5, 7, A)).toString('hex')).toBe(
      `${Buffer.from('aegis/consensus/1\0\u0001c').toString('hex')}03000000000000000500000007${A}`,
    );
  });
});
