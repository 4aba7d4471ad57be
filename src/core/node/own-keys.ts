/**
 * What a node does with its own keys before and while it runs: which network key it can use, and
 * how its home follows the chain. It waits for nothing and hands nothing in; key-desk.ts does.
 */
import type { RosterMember } from '../chain/roster.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Log } from '../ports.ts';

/**
 * The network key that this node can use: the one in force, or where that is lost or compromised
 * the one that waits to replace it, which peers accept by the entry that they are shown (H1).
 */
export async function usableNetworkKey(keystore: Keystore): Promise<Uint8Array> {
  const { networkKey } = keystore.current.keys;
  // What a backup has brought may be the rival of what is final (S8): it is not shown to anybody.
  const isOwn = keystore.restored === undefined;
  const isLeft = isOwn && keystore.pending()?.entry.succession.reason === 'compromised';
  if (!isLeft && !keystore.missing().includes('network')) return networkKey;
  const pending = await keystore.adoptPending();
  await keystore.markHandedIn();
  return pending?.after.keys.networkKey ?? networkKey;
}

type OwnRecord = Pick<
  RosterMember,
  'keys' | 'succession' | 'retiredNetworkKey' | 'retiredOnionKey'
>;

/**
 * Brings the home to the keys that the chain knows. A home that lacks entries goes on as far as it
 * can (K3): it does not vote with a key that is not in force.
 */
export async function followChain(
  member: OwnRecord | undefined,
  { keystore, log, now }: { readonly keystore: Keystore; readonly log: Log; readonly now: number },
): Promise<void> {
  // A home may know of entries before its chain has caught up with them.
  if (member === undefined || member.keys.number < keystore.current.number) return;
  const before = keystore.current.number;
  const { promoted, retired, isSuperseded, lost, isKept } = await keystore.settle(member.keys, {
    succession: member.succession.map(({ bytes }) => bytes),
    graceUntil: { network: member.retiredNetworkKey?.until, onion: member.retiredOnionKey?.until },
    now,
  });
  const { number } = member.keys;
  if (promoted.length > 0 || retired.length > 0) {
    log.write('info', 'the keys of this node have changed', { number, promoted, retired });
  }
  // J3
  if (isKept && number > before) {
    log.write(
      'info',
      'the keys have changed here; other clusters of this home still need those before',
      { number },
    );
  }
  if (isSuperseded) {
    log.write('warn', 'another rotation was final first: what was prepared here is erased', {});
  }
  // K3
  if (lost.length > 0 && number > before) {
    log.write('error', 'keys in force are not in this home: it does what it can', { number, lost });
  }
}
