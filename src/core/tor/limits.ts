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
  /** A descriptor has room for about 290 client keys (O15). */
  onionClients: 256,
  /** Of one circuit. Each connection is one stream, and has mostly a circuit of its own (O11). */
  onionStreamsPerCircuit: 8,
  /** Directories of a service that are counted; a descriptor goes to 16 at most. */
  onionDirectories: 64,
  /** Until a directory has the descriptor: Tor builds circuits first. Nobody waits for longer. */
  onionPublishMs: MINUTE,
  /** Before Tor is asked again for a service that it has refused. */
  onionRetryMs: 15 * SECOND,
  /** The same when one of before is in the way: Tor ends those of a connection that is gone. */
  onionCollisionRetryMs: SECOND,
  /** Looks for circuits to cut: those that were being built may turn up after the first. */
  onionCutPasses: 8,
  /** Names of circuits that are remembered, and peers with circuits of their own number. */
  isolatedNames: 4096,
  /** Of an address to dial, as it becomes a part of such a name. */
  purposeCharacters: 32,
  /** Services whose client key is remembered; that of others is found out again. */
  knownClientKeys: 1024,
  /** Tor may be slow to take the last bytes of a connection. */
  closeTimeoutMs: 10 * SECOND,
  httpRedirects: 5,
  httpHeadBytes: 16 * KIB,
  /** Until the head of an answer is there: the dial (O24), and some time for the answer. */
  httpTimeoutMs: 2 * MINUTE,
  /** Between two pieces of an answer. */
  httpIdleMs: MINUTE,
  /** One line that a Tor of our own writes; a longer one is broken. */
  ownLineCharacters: 8192,
  /** Until a Tor of our own has opened its control socket; half a second is usual. */
  ownStartMs: MINUTE,
  /** Then one that was asked to end is killed. */
  ownStopMs: 5 * SECOND,
  /** Of the file with the control password. */
  passwordBytes: 4096,
} as const;
