/** Strangers that flood an onion service (O20): what members and direct peers notice of it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/core/network/host.ts';
import { until } from './cluster.ts';
import { nodeIdOf, type Scene, scene, tcpOf } from './onion-scene.ts';

/** A frame that is as long as a ticket, and is none. */
const NO_TICKET = Buffer.concat([Uint8Array.of(0, 0, 0, 32), Buffer.alloc(32)]);

/** So many strangers at once, who say that much and stay. */
async function flood({ onions }: Scene, count: number, words?: Buffer): Promise<Socket[]> {
  const service = onions.addressOf(0);
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await onions.raw(service);
      socket.resume();
      if (words !== undefined) socket.write(words);
      return socket;
    }),
  );
}

/** A host asks for one as soon as the peer is up; what it asks later is answered later. */
const hasTicket = (host: Host, of: string): Promise<unknown> =>
  host.request(of, 'network/ticket', new Uint8Array(0));

const open = (sockets: readonly Socket[]): number =>
  sockets.filter((socket) => !socket.destroyed).length;

describe('a flood of strangers through the onion service', () => {
  it('is bounded, keeps no member out that was here before, and no direct peer', async () => {
    await using all = scene(4);
    const limits = { onionInboundPerSecond: 2, maxPendingOnionInbound: 4 };
    const a = await all.both(0, limits);
    const [b, c, d] = [await all.hidden(1), await all.hidden(2), await all.both(3)];
    await b.dial(all.onions.addressOf(0));
    await until(() => a.peer(nodeIdOf(all, 1)) !== undefined);
    await hasTicket(b, nodeIdOf(all, 0));
    const sockets = await flood(all, 60, NO_TICKET);
    // The burst of the door, and no more than the places before hello.
    await until(() => open(sockets) <= 4);
    expect(a.stats().pendingInbound).toBeLessThanOrEqual(4);
    // Another member without a ticket shares the fate of the strangers.
    await expect(c.dial(all.onions.addressOf(0))).rejects.toThrow();
    // One that has been here comes again at once, with lanes or without.
    for (let i = 0; i < 5; i += 1) {
      await b.hangUp(nodeIdOf(all, 0));
      await until(() => b.peers().length === 0 && a.peers().length === 0);
      await b.dial(all.onions.addressOf(0));
      await until(() => a.peers().length === 1);
    }
    expect((await d.dial(tcpOf(a))).nodeId).toBe(nodeIdOf(all, 0));
    const knobs = all.cluster.lines.flatMap(({ fields }) =>
      fields['peer'] === 'onion' ? [fields['knob']] : [],
    );
    expect(new Set(knobs)).toContain('limits.onionInboundPerSecond');
  });

  it('of silent ones takes seats from itself only', async () => {
    await using all = scene(3);
    const limits = { onionInboundPerSecond: 100, maxPendingOnionInbound: 4 };
    const a = await all.both(0, limits);
    const [b, c] = [await all.hidden(1), await all.hidden(2)];
    const sockets = await flood(all, 100);
    // Four seats to a place before hello.
    await until(() => open(sockets) === 16);
    expect(a.stats().pendingInbound).toBe(0);
    // Nobody of them has said a word: whoever does is served.
    await b.dial(all.onions.addressOf(0));
    await c.dial(all.onions.addressOf(0));
    // The first has had the seat of the oldest one, and has left it to the second.
    expect(open(sockets)).toBe(15);
    const [oldest] = sockets.filter((socket) => !socket.destroyed);
    const cut = once(oldest!, 'close');
    await flood(all, 20);
    await cut;
    await until(() => a.peers().length === 2);
  });

  it('leaves a member no more than its own rate, ticket or not', async () => {
    await using all = scene(2);
    const a = await all.both(0, { onionInboundPerSecond: 1 });
    const b = await all.hidden(1, { dialsPerSecondPerAddress: 1000 });
    await b.dial(all.onions.addressOf(0));
    await until(() => a.peers().length === 1);
    await hasTicket(b, nodeIdOf(all, 0));
    const outcomes: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      await b.hangUp(nodeIdOf(all, 0));
      await until(() => b.peers().length === 0);
      const dial = b.dial(all.onions.addressOf(0));
      outcomes.push(await dial.then(() => 'in').catch(() => 'out'));
    }
    expect(outcomes).toContain('in');
    expect(outcomes).toContain('out');
    const blamed = all.cluster.lines.filter(({ fields }) => fields['peer'] === nodeIdOf(all, 1));
    expect(blamed.map(({ fields }) => fields['knob'])).toContain('limits.onionInboundPerSecond');
  });
});
