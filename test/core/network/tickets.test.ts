import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TICKET_BYTES, Tickets } from '../../../src/core/network/tickets.ts';

const make = (): Tickets => new Tickets({ random: { bytes: (length) => randomBytes(length) } });

describe('tickets', () => {
  it('name their holder to who has given them, and to nobody else', () => {
    const [ours, theirs] = [make(), make()];
    const ticket = ours.give('a');
    expect(ours.give('a')).toEqual(ticket);
    expect(ours.holderOf(ticket)).toBe('a');
    expect(theirs.holderOf(ticket)).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(ours.holderOf(bytes)).toBeUndefined();
      }),
    );
  });

  it('are shown at the service of who has given them, and random bytes at any other', () => {
    const [ours, theirs] = [make(), make()];
    const ticket = theirs.give('us');
    ours.keep('them', ticket);
    expect(ours.show('service')).toHaveLength(TICKET_BYTES);
    expect(ours.show('service')).not.toEqual(ours.show('service'));
    ours.met('service', 'them');
    expect(ours.show('service')).toEqual(ticket);
    // One that is no ticket replaces none.
    ours.keep('them', new Uint8Array(5));
    expect(ours.show('service')).toEqual(ticket);
  });

  it('are not led astray by a peer that claims the service of another', () => {
    const ours = make();
    const [right, wrong] = [randomBytes(32), randomBytes(32)];
    ours.keep('owner', right);
    ours.keep('liar', wrong);
    ours.claimed('service', 'liar');
    ours.met('service', 'owner');
    ours.claimed('service', 'liar');
    expect(ours.show('service')).toEqual(right);
  });

  it('are not lost to a peer that claims many services', () => {
    const ours = make();
    const right = randomBytes(32);
    ours.keep('owner', right);
    ours.keep('other', right);
    ours.met('service', 'owner');
    ours.claimed('place', 'other');
    for (let i = 0; i < 2000; i += 1) ours.claimed(`service-${i}`, 'liar');
    expect(ours.show('service')).toEqual(right);
    expect(ours.show('place')).toEqual(right);
  });

  it('are bounded, the oldest holder being forgotten first', () => {
    const ours = make();
    const first = ours.give('0');
    for (let i = 1; i <= 1024; i += 1) ours.give(String(i));
    expect(ours.holderOf(first)).toBeUndefined();
    expect(ours.holderOf(ours.give('1024'))).toBe('1024');
    expect(ours.holderOf(ours.give('1'))).toBe('1');
  });
});
