/** What is taken from a control port at most, whoever answers there. */
import { KIB, MIB, SECOND } from '../../units.ts';

export const CONTROL_LIMITS = {
  /** One line, without its end. */
  lineBytes: 64 * KIB,
  /** One reply or event with all of its lines; each line counts 16 bytes more than it has. */
  replyBytes: 8 * MIB,
  /** One command with its data; Tor takes 1 MiB. */
  commandBytes: 512 * KIB,
  /** Commands that wait for their replies at one time. */
  commands: 256,
} as const;

/** How long one command waits for its reply. */
export const COMMAND_TIMEOUT_MS = 15 * SECOND;
/** A Tor that leaves a command without reply for so long hangs: its connection is given up. */
export const HANG_MS = 30 * SECOND;
