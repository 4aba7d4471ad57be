import { describe, expect, it } from 'vitest';
import { Announcer, QUIET_ALARM } from '../../../src/core/chain/announcer.ts';
import { openMessage } from '../../../src/core/chain/messages.ts';
import { FLUSH_ALARM, REPEAT_ALARM, Spread } from '../../../src/core/chain/spread.ts';
import { Turn } from '../../../src/core/chain/turn.ts';
import type { PendingIntent } from '../../../src/core/chain/types.ts';
import { CustodianSet } from '../../../src/core/consensus/custodian-sets.ts';
import type { Ready } from '../../../src/core/machine.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { instant } from '../../../src/core/units.ts';
import { intentOf, membersOf, OPENING } from './support/fixtures.ts';

const [alice] = membersOf(1) as [ReturnType<typeof membersOf>[0]];
const intents = Array.from({ length: 5 }, (_, at) => intentOf(alice, at + 1, { version: `${at}` }));
const custodians = new CustodianSet(
  ['c1', 'c2', 'c3', 'c4'].map((nodeId) => ({
    nodeId,
    consensusKey: new Uint8Array(48),
    identityKey: new Uint8Array(32),
    vrfKey: new Uint8Array(32),
  })),
);
const audience = (): CustodianSet => custodians;

const turnAt = (now: number): Turn => new Turn(instant(now));

/** Who was sent which sequences. */
const sentIn = ({ messages }: Ready): [string, number[]][] =>
  messages.map(({ to, protocol, body }) => {
    const { message } = openMessage(protocol, body, OPENING);
    if (message.type !== 'intents') throw new Error(message.type);
    return [to, message.intents.map(({ intent }) => intent.sequence)];
  });

const pendingOf = (list: readonly SignedIntent[], since = 0): PendingIntent[] =>
  list.map((signed) => ({ signed, since }));

describe('intents', () => {
  const peers = new Set(['c1', 'c2', 'a1']);

  it('go to custodians at once, and soon after in batches', () => {
    const spread = new Spread(audience);
    const first = turnAt(100);
    spread.add(first, intents.slice(0, 1), peers);
    expect(sentIn(first.build())).toEqual([
      ['c1', [1]],
      ['c2', [1]],
    ]);
    const second = turnAt(101);
    for (const signed of intents.slice(1)) spread.add(second, [signed], peers);
    const ready = second.build();
    expect(ready.messages).toEqual([]);
    expect(ready.alarms).toEqual([{ key: FLUSH_ALARM, at: 103 }]);
    const third = turnAt(103);
    spread.flush(third, peers);
    expect(sentIn(third.build())[0]).toEqual(['c1', [2, 3, 4, 5]]);
  });

  it('go to agents, too, when all custodians that are there may be faulty', () => {
    const spread = new Spread(audience);
    const turn = turnAt(100);
    spread.add(turn, intents.slice(0, 1), new Set(['c1', 'a1']));
    expect(sentIn(turn.build()).map(([to]) => to)).toEqual(['c1', 'a1']);
  });

  it('are sent again while they wait, and to custodians that come up', () => {
    const spread = new Spread(audience);
    const pending = pendingOf(intents);
    const start = turnAt(0);
    spread.watch(start, pending);
    spread.watch(start, pending);
    expect(start.build().alarms).toEqual([{ key: REPEAT_ALARM, at: 2000 }]);
    const again = turnAt(2000);
    spread.repeat(again, pending, peers);
    const ready = again.build();
    expect(sentIn(ready)).toHaveLength(2);
    expect(ready.alarms).toEqual([{ key: REPEAT_ALARM, at: 4000 }]);
    const fresh = turnAt(4000);
    spread.repeat(fresh, pendingOf(intents, 3000), peers);
    expect(fresh.build().messages).toEqual([]);
    const greeting = turnAt(5000);
    spread.greet(greeting, 'c3', pending);
    spread.greet(greeting, 'a1', pending);
    expect(sentIn(greeting.build())).toEqual([['c3', [1, 2, 3, 4, 5]]]);
    const over = turnAt(6000);
    spread.repeat(over, [], peers);
    expect(over.build()).toMatchObject({ messages: [], alarms: [] });
  });

  it('are offered to one custodian after the other', () => {
    const spread = new Spread(audience);
    const offered = Array.from({ length: 3 }, () => {
      const turn = turnAt(0);
      spread.offer(turn, intents, peers);
      return sentIn(turn.build());
    });
    const all = [1, 2, 3, 4, 5];
    expect(offered).toEqual([[['c1', all]], [['c2', all]], [['c1', all]]]);
    const alone = turnAt(0);
    spread.offer(alone, intents, new Set());
    expect(alone.build().messages).toEqual([]);
  });

  it('are parted into messages within the limits', () => {
    const big = Array.from({ length: 20 }, (_, at) => ({
      ...intents[0]!,
      bytes: new Uint8Array(60_000),
      digest: `${at}`,
    }));
    const turn = turnAt(0);
    new Spread(audience).greet(turn, 'c1', pendingOf(big.slice(0, 1)));
    const spread = new Spread(audience);
    const pending = pendingOf(big);
    spread.greet(turn, 'c1', pending);
    const sizes = turn.build().messages.map(({ body }) => body.length);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(20 * 60_000);
    expect(Math.max(...sizes)).toBeLessThan(600_000);
  });
});

describe('announcements', () => {
  const tip = { type: 'announce' as const, height: 5, digest: 'ab'.repeat(32) };
  const known = new Map([
    ['c1', 5],
    ['c2', 4],
    ['a1', 4],
    ['a2', 5],
  ]);
  const listeners = {
    peers: new Set(known.keys()),
    knownHeight: (peer: string): number => known.get(peer) ?? 0,
  };
  const receivers = ({ messages }: Ready): string[] => messages.map(({ to }) => to);

  it('go to agents that lack the height, not to custodians that vote', () => {
    const announcer = new Announcer({ custodians });
    const turn = turnAt(1000);
    announcer.moved(turn, tip, listeners);
    expect(receivers(turn.build())).toEqual(['a1']);
  });

  it('are no closer than they must be', () => {
    const announcer = new Announcer({ custodians });
    announcer.moved(turnAt(1000), tip, listeners);
    const soon = turnAt(1010);
    announcer.moved(soon, tip, listeners);
    announcer.moved(soon, tip, listeners);
    const ready = soon.build();
    expect(receivers(ready)).toEqual([]);
    expect(ready.alarms.filter(({ key }) => key === 'announce')).toHaveLength(1);
  });

  it('go to all that lag when it has become quiet, ever more rarely', () => {
    const announcer = new Announcer({ custodians });
    announcer.moved(turnAt(1000), tip, listeners);
    const delays = [3000, 7000, 15_000].map((now) => {
      const turn = turnAt(now);
      announcer.quiet(turn, tip, listeners);
      const ready = turn.build();
      expect(receivers(ready)).toEqual(['c2', 'a1']);
      return ready.alarms.find(({ key }) => key === QUIET_ALARM)!.at! - now;
    });
    expect(delays).toEqual([4000, 8000, 16_000]);
    known.set('c2', 5).set('a1', 5);
    const last = turnAt(31_000);
    announcer.quiet(last, tip, listeners);
    expect(last.build()).toMatchObject({ messages: [], alarms: [] });
  });
});
