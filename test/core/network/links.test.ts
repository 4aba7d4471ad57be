import type { Connection } from '@libp2p/interface';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bestOf,
  isOutdated,
  isTwin,
  type Link,
  outdates,
} from '../../../src/core/network/links.ts';

/** What one side sees: its own generation, and the number of the other's key. */
function link(generation: number, keyNumber: number, status = 'open'): Link {
  const connection = { status } as Connection;
  const networkKey = new Uint8Array(32);
  return {
    connection,
    class: 'direct',
    generation,
    identity: { nodeId: 'n', name: 'n', networkKey, keyNumber, agent: 'a', instance: 'i' },
  };
}

/** The same connection, seen from its other end. */
const mirrored = ({ generation, identity, connection }: Link): Link =>
  link(identity.keyNumber, generation, connection.status);

const links = fc.array(
  fc
    .tuple(fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.constantFrom('open', 'closing'))
    .map(([own, other, status]) => link(own, other, status)),
  { minLength: 1, maxLength: 8 },
);

describe('links', () => {
  it('are outdated by one that is newer at an end and older at none', () => {
    expect(outdates(link(1, 0), link(0, 0))).toBe(true);
    expect(outdates(link(1, 1), link(0, 1))).toBe(true);
    expect(outdates(link(1, 0), link(0, 1))).toBe(false);
    expect(outdates(link(0, 1), link(1, 0))).toBe(false);
    expect(outdates(link(1, 1), link(1, 1))).toBe(false);
    expect(isTwin(link(1, 1), link(1, 1))).toBe(true);
  });

  it('are outdated at one end exactly when they are at the other', () => {
    fc.assert(
      fc.property(links, (all) => {
        const others = all.map(mirrored);
        expect(all.map((one) => isOutdated(one, all))).toEqual(
          others.map((one) => isOutdated(one, others)),
        );
      }),
    );
  });

  it('are never all ended: what outdates another is open, and the best is outdated by none', () => {
    fc.assert(
      fc.property(links, (all) => {
        const open = all.filter(({ connection }) => connection.status === 'open');
        const best = bestOf(all);
        expect(best === undefined).toBe(open.length === 0);
        if (best === undefined) return;
        expect(isOutdated(best, all)).toBe(false);
        expect(best.connection.status).toBe('open');
        // The newest of its twins.
        const last = open.findLast((one) => one === best || isTwin(one, best));
        expect(last).toBe(best);
      }),
    );
  });
});
