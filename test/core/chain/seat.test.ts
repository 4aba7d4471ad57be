import { describe, expect, it } from 'vitest';
import { sortRows } from '../../../src/core/chain/rows.ts';
import { Seat, type SeatDeps } from '../../../src/core/chain/seat.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import type { CustodianSet } from '../../../src/core/consensus/custodian-sets.ts';
import { finalRow, slotRow } from '../../../src/core/consensus/journal.ts';
import { LeaderSchedule } from '../../../src/core/consensus/schedule.ts';
import type { Certificate } from '../../../src/core/consensus/types.ts';
import { instant } from '../../../src/core/units.ts';
import { TestCluster } from './support/cluster.ts';
import { CLUSTER_ID } from './support/fixtures.ts';

const certificateOf = (height: number): Certificate => ({
  phase: 'commit',
  height,
  view: 0,
  digest: '07'.repeat(32),
  signers: [0, 1, 2],
  signature: new Uint8Array(96),
});

/** The first of four custodians, whose replica and state have come to these heights. */
function seatOf(options: { replica: number; state: number }) {
  const cluster = new TestCluster({ custodians: 4 });
  const { genesis, keyring } = cluster;
  const sets = cluster.setsOfGenesis();
  const custodians: CustodianSet = sets.at(1)!;
  const ledger = { tip: { height: options.state, digest: '' }, custodians };
  const self = custodians.nodeIds[0]!;
  const { height, view } = { height: options.replica + 1, view: 3 };
  const share = { kind: 'timeout', height, view, digest: undefined, highView: undefined } as const;
  const signed = { ...share, signature: new Uint8Array(96) };
  const slot = { height, view, proposal: undefined, shares: { timeout: signed } };
  const entries = [finalRow(certificateOf(options.replica)), slotRow(slot, signed)];
  const rows = sortRows(entries.map((entry) => ({ ...entry, value: entry.value! })));
  const deps = { scheme: keyring.votesOver({ sets }), sets, ledger: ledger as SeatDeps['ledger'] };
  const chain = { clusterId: CLUSTER_ID, genesis, self, held: [] };
  const seat = new Seat(chain, deps, { rows, standing: 'sound' });
  /** The state comes to a height, with what makes it final. */
  const reach = (to: number) => {
    ledger.tip = { height: to, digest: '' };
    let leaders = new LeaderSchedule({ clusterId: CLUSTER_ID, custodians: 4 });
    for (let at = 1; at <= to; at += 1) leaders = leaders.next({ height: at, view: 0 });
    seat.pass(new Turn(instant(0)), leaders);
    return seat.begin({ certificate: certificateOf(to), isRestart: false });
  };
  return { seat, reach };
}

describe('a replica whose state is elsewhere', () => {
  it('stands still while the state is behind it, and goes on from what it has signed', () => {
    const { seat, reach } = seatOf({ replica: 7, state: 3 });
    expect([seat.isAtTip, seat.replica.height]).toEqual([false, 8]);
    expect(seat.replica.status()).toMatchObject({ height: 8, view: 3 });
    expect([reach(5), seat.isAtTip, seat.replica.height]).toEqual([undefined, false, 8]);
    expect(reach(7)).toEqual({ type: 'start' });
    expect(seat.isAtTip).toBe(true);
    // P6
    expect(seat.replica.status()).toMatchObject({ height: 8, view: 3, timeouts: [0] });
  });

  it('stands still while the state is in the midst of a window, and goes to its end', () => {
    const { seat, reach } = seatOf({ replica: 2, state: 4 });
    expect([seat.isAtTip, seat.replica.status().height]).toEqual([false, 3]);
    expect(reach(6)).toEqual({ type: 'start' });
    expect([seat.isAtTip, seat.replica.height]).toEqual([true, 7]);
    expect(seat.replica.status()).toMatchObject({ height: 7, view: 0, timeouts: [] });
  });

  it('is told where the state has gone, where it was one with it', () => {
    const { seat, reach } = seatOf({ replica: 4, state: 4 });
    expect(seat.isAtTip).toBe(true);
    const { replica } = seat;
    expect(reach(6)).toMatchObject({ type: 'caught-up', certificate: certificateOf(6) });
    expect(seat.replica).toBe(replica);
    // It has not been told yet.
    expect(seat.isAtTip).toBe(false);
  });
});
