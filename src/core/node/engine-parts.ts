/** What the engine needs while it comes to be, and once: openings, first words, last resorts. */
import { assert } from '../assert.ts';
import type { Evidence } from '../consensus/types.ts';
import { onionMultiaddr, parseOnionAddress } from '../crypto/onion.ts';
import { AegisError, toAegisError } from '../errors.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Log, SecurityEvent } from '../ports.ts';
import { protocolMaxOf } from './chain-settings.ts';
import { ConsensusViews } from './consensus-views.ts';
import type { EngineOptions, EngineParts } from './engine-open.ts';

/** S8: the succession in the home may contradict that of the chain, which nothing here can mend. */
export const apart =
  (log: Log) =>
  (error: unknown): void => {
    const { code, message: reason } = toAegisError(error);
    if (code !== 'BAD_DATA') throw error;
    log.write('error', 'the succession in this home is not that of the chain', { reason });
  };

/** Opens both; when one fails, the other is closed again. */
export async function openBoth<
  A extends { close(): Promise<void> },
  B extends { close(): Promise<void> },
>(first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first(), second()]);
  if (a.status === 'fulfilled' && b.status === 'fulfilled') return [a.value, b.value];
  if (a.status === 'fulfilled') await a.value.close();
  if (b.status === 'fulfilled') await b.value.close();
  const failed = [a, b].find((one) => one.status === 'rejected');
  assert(failed !== undefined, 'one of the two has failed');
  throw failed.reason;
}

/** What the security log says of a custodian that has signed two things for one slot. */
export function doubleSignOf({ kind, height, view }: Evidence, nodeId: string): SecurityEvent {
  const reason = `two of kind ${kind} at height ${height}, view ${view}`;
  return { type: 'double-sign', reason, nodeId };
}

/** Where the members may be dialled that have invited this node. */
export function invitedTo(invited: OpenInvitationFile | undefined): readonly string[] {
  if (invited === undefined) return [];
  const { addresses, onion } = invited.file;
  const all = addresses.flatMap((member) => member.addresses);
  return onion === undefined ? all : [onionMultiaddr(parseOnionAddress(onion.address)), ...all];
}

/** V3: what a node says that does not go on. */
export const tooOld = (protocol: number, height: number, protocolMax: number): AegisError =>
  new AegisError(
    'PROTOCOL_TOO_NEW',
    `block ${height} is of protocol version ${protocol}, and this node knows up to ${protocolMax}`,
  );

export function consensusViewsOf(
  { genesis, keystore, settings }: EngineOptions,
  { chain: room, store, host, introductions, duplicities }: EngineParts,
): ConsensusViews {
  return new ConsensusViews({
    ...{ genesis, self: keystore.nodeId, room, store, duplicities },
    isConnected: (nodeId) => host.peer(nodeId) !== undefined,
    isFrozen: (nodeId) => introductions.isFrozen(nodeId),
    runsTwice: (nodeId) => host.peer(nodeId)?.runsTwice === true,
    protocolMax: protocolMaxOf(settings),
  });
}
