import { AegisError } from '../../errors.ts';

/** Every limit of the server in one place. A test guards each. */
export interface ServerLimits {
  /** Request line and headers. @default 16 KiB */
  readonly headBytesMax: number;
  /** The part of the target behind `?`. @default 8 KiB */
  readonly queryBytesMax: number;
  /** A JSON body. @default 1 MiB */
  readonly bodyBytesMax: number;
  /** Requests at work, event streams not counted; more are answered with BUSY. @default 64 */
  readonly requestsMax: number;
  /** Requests begun in a second, and at once after a pause. @default 2000 */
  readonly requestsPerSecondMax: number;
  /** The same with one token, so that a script that runs wild leaves some. @default 1500 */
  readonly requestsPerSecondPerTokenMax: number;
  /** Requests at work whose body is still coming. @default 32 */
  readonly bodiesMax: number;
  /** Requests at work that wait for something to become final. @default 48 */
  readonly waitsMax: number;
  /** @default 32 */
  readonly eventStreamsMax: number;
  /** Open connections; more are closed at once. @default 256 */
  readonly connectionsMax: number;
  /** Until a request's headers are complete, and again until a JSON body is. @default 10 s */
  readonly headTimeoutMs: number;
  /** An upload that sends nothing, a download that takes nothing. @default 30 s */
  readonly idleTimeoutMs: number;
  /** Between two requests on one connection. @default 5 s */
  readonly keepAliveMs: number;
  /** @default 5 s */
  readonly heartbeatMs: number;
  /** Events waiting for one slow reader, events of one key counted once. @default 4096 */
  readonly eventQueueMax: number;
  /** Log lines among them; the oldest give way. @default 256 */
  readonly eventLogLinesMax: number;
  /** How long a reader of events may take nothing. @default 15 s */
  readonly eventStallMs: number;
  /** Failures of cut streams that can still be asked for. @default 64 */
  readonly failuresKept: number;
  /** Files and directories in an uploaded tree. @default 1 000 000 */
  readonly treeEntriesMax: number;
}

export const SERVER_LIMITS: ServerLimits = {
  headBytesMax: 16 * 1024,
  queryBytesMax: 8 * 1024,
  bodyBytesMax: 1024 * 1024,
  requestsMax: 64,
  requestsPerSecondMax: 2000,
  requestsPerSecondPerTokenMax: 1500,
  bodiesMax: 32,
  waitsMax: 48,
  eventStreamsMax: 32,
  connectionsMax: 256,
  headTimeoutMs: 10_000,
  idleTimeoutMs: 30_000,
  keepAliveMs: 5000,
  heartbeatMs: 5000,
  eventQueueMax: 4096,
  eventLogLinesMax: 256,
  eventStallMs: 15_000,
  failuresKept: 64,
  treeEntriesMax: 1_000_000,
};

/** By which setting an operator changes a limit; those that are left out are fixed. */
export const SETTING_OF = {
  connectionsMax: 'limits.apiConnections',
  requestsMax: 'limits.apiRequestsAtOnce',
  bodiesMax: 'limits.apiBodiesAtOnce',
  waitsMax: 'limits.apiWaits',
  eventStreamsMax: 'limits.apiEventStreams',
  requestsPerSecondMax: 'limits.apiPerSecond',
  requestsPerSecondPerTokenMax: 'limits.apiPerSecondPerToken',
} as const satisfies Partial<Record<keyof ServerLimits, `limits.${string}`>>;

export type ServerKnob = keyof typeof SETTING_OF;

/** What a caller that asked too much is told. */
export function busyBy(knob: ServerKnob, message: string): AegisError {
  const setting = SETTING_OF[knob];
  return new AegisError('BUSY', `${message} (${setting})`, {
    hint: `Ask less at once, or raise the limit: aegis config set ${setting} NUMBER`,
    details: { knob: setting },
  });
}
