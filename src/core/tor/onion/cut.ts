/**
 * Ends every stream that has come through a service of ours: client keys protect the descriptor
 * only, and whoever has found the service once can open more on the circuit that he has (O17).
 */
import { AegisError } from '../../errors.ts';
import { circuits } from '../control/circuits.ts';
import { type Commander, closeCircuit } from '../control/commands.ts';
import { TOR_LIMITS } from '../limits.ts';

const AT_ONCE = TOR_LIMITS.controlCommands / 4;

/**
 * Only while the service is down: else those who may come in would be cut as they come.
 * @throws {AegisError} `TOR_FAILED` when new ones turn up again and again.
 */
export async function cutCircuits(link: Commander, onion: string): Promise<void> {
  for (let pass = 0; pass < TOR_LIMITS.onionCutPasses; pass += 1) {
    const all = await circuits(link);
    const ours = all.filter((one) => one.onion === onion && one.purpose === 'HS_SERVICE_REND');
    if (ours.length === 0) return;
    // Under a flood there are more of them than commands may wait at one time.
    for (let at = 0; at < ours.length; at += AT_ONCE) {
      const some = ours.slice(at, at + AT_ONCE);
      await Promise.all(some.map(({ id }) => closeCircuit(link, id)));
    }
  }
  throw new AegisError('TOR_FAILED', 'Tor does not end the circuits of our onion service');
}
