/** What the settings say of the chain: the operator's checkpoint, and the protocol it takes part in. */
import type { Settings } from '../config/settings.ts';
import { PROTOCOL } from '../model/protocol.ts';

export interface Checkpoint {
  readonly height: number;
  /** Of the header (hex). */
  readonly digest: string;
}

/** Y5. The form has been checked with the settings. */
export function checkpointOf(settings: Settings): Checkpoint | undefined {
  const text = settings['chain.checkpoint'];
  if (text === undefined) return undefined;
  const [height = '', digest = ''] = text.split(':');
  return { height: Number(height), digest };
}

/** V4. */
export const protocolMaxOf = (settings: Settings): number =>
  Math.min(PROTOCOL.max, settings['protocol.max'] ?? PROTOCOL.max);
