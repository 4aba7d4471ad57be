import { expect, test } from 'vitest';
import type { ChainOutcome, ChainStatus } from '../../../src/core/chain/chain.ts';
import { RoundLog } from '../../../src/core/node/round-log.ts';

/** A log, and the facts that the chain would give. */
function makeLog() {
  const facts = { height: 1, view: 0, viewSince: 1000, timeouts: [1, 2] };
  const chain = { height: 0, status: () => facts as unknown as ChainStatus };
  return { chain, facts, log: new RoundLog(chain) };
}

const entered = (height: number, view: number): ChainOutcome => ({
  type: 'entered',
  height,
  view,
  leader: view,
});
const voted = (phase: 'prepare' | 'commit' | 'timeout', height: number, view: number) =>
  ({ type: 'voted', phase, height, view, digest: undefined }) as const;
const finalised = (height: number, view: number) =>
  ({ type: 'finalised', height, certificate: { view } }) as ChainOutcome;

test('a height is told by its views: what failed, what was proposed, how long it took', () => {
  const { log, facts } = makeLog();
  log.tell(entered(1, 0), 900);
  log.tell(voted('timeout', 1, 0), 2000);
  facts.view = 1;
  log.tell(entered(1, 1), 2100);
  log.tell(voted('prepare', 1, 1), 2200);
  log.tell(voted('commit', 1, 1), 2300);
  log.tell(finalised(1, 1), 2400);
  const seen = log.get(1);
  expect(seen).toMatchObject({ startedAt: 1000, proposedAt: 2200, preparedAt: 2300 });
  expect(seen?.views).toEqual([
    { view: 0, leader: 0, startedAt: 900, endedAt: 2100, isProposed: false, timeouts: [1, 2] },
    { view: 1, leader: 1, startedAt: 2100, endedAt: 2400, isProposed: true, timeouts: [] },
  ]);
  expect([log.lastFinalAt, log.finalMs(0.5), log.finalMs(0.95)]).toEqual([2400, 1400, 1400]);
});

test('work of this node begins a height that others decide without its vote', () => {
  const { log } = makeLog();
  log.tell(entered(1, 0), 100);
  log.tell({ type: 'accepted', id: 'i', digest: 'd', sequence: 1 }, 500);
  log.tell(finalised(1, 0), 600);
  expect(log.get(1)).toMatchObject({ startedAt: 500, finalAt: 600 });
  expect(log.get(1)?.views[0]?.isProposed).toBe(true);
});

test('a refused proposal is remembered, and old heights are forgotten', () => {
  const { log } = makeLog();
  expect([log.refused, log.finalMs(0.5), log.lastFinalAt]).toEqual([undefined, null, undefined]);
  log.tell(entered(1, 0), 1);
  const refusal = { height: 1, view: 0, proposer: 'eve', reason: 'state', detail: 'why' } as const;
  log.tell({ type: 'proposal-refused', ...refusal }, 2);
  expect(log.refused).toEqual({ ...refusal, at: 2 });
  expect(log.get(1)?.views[0]?.isProposed).toBe(true);
  for (let height = 2; height <= 258; height += 1) log.tell(entered(height, 0), height);
  expect([log.get(1), log.get(2)]).toEqual([undefined, undefined]);
  expect(log.get(3)).toBeDefined();
});
