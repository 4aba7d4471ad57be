/** In `prefer` peers that came directly are dialled at their onions, and no others (O4). */
import { expect, test } from 'vitest';
import { onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import { AegisError } from '../../../src/core/errors.ts';
import type { PeerConnection } from '../../../src/core/network/peer.ts';
import { OnionUpgrade } from '../../../src/core/node/onion-upgrade.ts';
import { handClock, settle } from '../tor/onion/hand-clock.ts';
import { log } from './support/node.ts';
import { OnionWorld, onionOf } from './support/onion-world.ts';

function setUp() {
  const { introductions, owners } = new OnionWorld();
  const [, bea, eve] = owners;
  const ways = new Map<string, PeerConnection['class']>();
  const dialled: string[] = [];
  const wish = { isWanted: true, error: undefined as AegisError | undefined };
  const { clock, pass } = handClock();
  let up = (_event: { type: 'up' | 'down' }): void => {};
  const upgrade = new OnionUpgrade({
    ...{ introductions, clock, log, isWanted: () => wish.isWanted },
    host: {
      peers: () => [...ways].map(([nodeId, way]) => ({ nodeId, class: way }) as PeerConnection),
      redial: async (address) => {
        dialled.push(address);
        if (wish.error !== undefined) throw wish.error;
        const nodeId = [bea, eve].find((one) => addressOf(one) === address)!.nodeId;
        ways.set(nodeId, 'onion');
        return { nodeId, address };
      },
      onPeer: (listener) => {
        up = listener as typeof up;
        return () => {
          up = () => {};
        };
      },
    },
  });
  upgrade.start();
  const wait = async (ms: number): Promise<void> => {
    pass(ms);
    await settle();
  };
  const comes = (nodeId: string, way: PeerConnection['class']): void => {
    ways.set(nodeId, way);
    up({ type: 'up' });
  };
  return { upgrade, wish, dialled, wait, comes, bea, eve };
}

const addressOf = (owner: OnionWorld['owners'][0]): string =>
  onionMultiaddr(onionOf(owner).publicKey);

test('a peer that came directly is dialled at its onion; one that came by it is not', async () => {
  const { dialled, wait, comes, bea, eve } = setUp();
  comes(bea.nodeId, 'direct');
  comes(eve.nodeId, 'onion');
  await wait(1999);
  expect(dialled).toEqual([]);
  await wait(1);
  expect(dialled).toEqual([addressOf(bea)]);
  await wait(3_600_000);
  expect(dialled).toHaveLength(1);
});

test('what failed is tried again, ever more seldom, and at once when Tor is back', async () => {
  const { upgrade, dialled, wish, wait, comes, bea } = setUp();
  wish.error = new AegisError('ONION_NOT_FOUND', 'no descriptor');
  comes(bea.nodeId, 'direct');
  await wait(2000);
  await wait(15_000);
  await wait(15_000);
  expect(dialled).toHaveLength(2);
  await wait(15_000);
  expect(dialled).toHaveLength(3);
  wish.error = undefined;
  upgrade.soon();
  await wait(2000);
  expect(dialled).toHaveLength(4);
  await wait(3_600_000);
  expect(dialled).toHaveLength(4);
});

test('without Tor, or by another route, and after the end nobody is dialled', async () => {
  const { upgrade, dialled, wish, wait, comes, bea } = setUp();
  wish.isWanted = false;
  comes(bea.nodeId, 'direct');
  await wait(3_600_000);
  wish.isWanted = true;
  upgrade.soon();
  upgrade.stop();
  await wait(3_600_000);
  expect(dialled).toEqual([]);
});
