/** What is taken from Tor at most, whoever answers at its ports, and how long it is waited for. */
import { KIB, MIB, MINUTE, SECOND } from '../units.ts';

export const TOR_LIMITS = {
  /** One line of a control port, without its end. */
  controlLineBytes: 64 * KIB,
  /** One reply or event with all of its lines; each line counts 16 bytes more than it has. */
  controlReplyBytes: 8 * MIB,
  /** One command with its data; Tor takes 1 MiB. */
  controlCommandBytes: 512 * KIB,
  /** Commands that wait for their replies at one time. */
  controlCommands: 256,
  /** One command for its reply. */
  commandTimeoutMs: 15 * SECOND,
  /** A Tor that leaves a command without reply for so long hangs: its connection is given up. */
  hangMs: 30 * SECOND,
  /** Connection, proof and version. */
  controlTimeoutMs: 15 * SECOND,
  /** One job after a reconnection; then the next one has its turn. */
  restoreTimeoutMs: MINUTE,
  /** What another program said, in a message or a log. */
  shownCharacters: 200,
  httpRedirects: 5,
  httpHeadBytes: 16 * KIB,
  /** Until the head of an answer is there: the dial (O24), and some time for the answer. */
  httpTimeoutMs: 2 * MINUTE,
  /** Between two pieces of an answer. */
  httpIdleMs: MINUTE,
} as const;
