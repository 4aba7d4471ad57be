/** What the operator says of the chain: its checkpoint, and how far the protocol may go. */
import type { Settings } from '../config/settings.ts';
import { type Checkpoint, checkpointOfText } from '../model/checkpoint.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import { PROTOCOL } from '../model/protocol.ts';

/** Y5: that of the settings, else that of the invitation. The form has been checked with them. */
export function checkpointOf(
  settings: Settings,
  invited?: OpenInvitationFile,
): Checkpoint | undefined {
  const text = settings['chain.checkpoint'];
  return text === undefined ? invited?.file.checkpoint : checkpointOfText(text);
}

/** V4. */
export const protocolMaxOf = (settings: Settings): number =>
  Math.min(PROTOCOL.max, settings['protocol.max'] ?? PROTOCOL.max);
