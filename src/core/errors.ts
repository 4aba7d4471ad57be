/**
 * Operating errors: everything that input, the disk, the network or an operator can cause.
 * One class, one table. A code never changes its meaning; scripts rely on it.
 */

/** Exit statuses of the command line, after sysexits(3). Documented in aegis(1). */
export const EXIT = {
  ok: 0,
  no: 1,
  usage: 2,
  badData: 65,
  notFound: 66,
  unavailable: 69,
  bug: 70,
  exists: 73,
  tryAgain: 75,
  denied: 77,
  badConfig: 78,
  interrupted: 130,
} as const;

interface ErrorKind {
  /** Exit status of the command line. */
  readonly exit: number;
  /** Status of the HTTP API. */
  readonly http: number;
  /** Whether the same request may succeed later without a change by the operator. */
  readonly retryable: boolean;
  /** What to do, when the place that throws knows nothing better. */
  readonly hint?: string;
}

const kind = (exit: number, http: number, retryable: boolean, hint?: string): ErrorKind =>
  hint === undefined ? { exit, http, retryable } : { exit, http, retryable, hint };

/** Every code: exit status, HTTP status, retryable, hint. `docs/errors.md` is made from it. */
export const ERRORS = {
  // The answer is no (1)
  CHECK_FAILED: kind(EXIT.no, 409, false),
  // Usage (2)
  USAGE: kind(EXIT.usage, 400, false, 'See the command with --help.'),
  BAD_REQUEST: kind(EXIT.usage, 400, false),
  PASSPHRASE_REQUIRED: kind(
    EXIT.usage,
    400,
    false,
    'Give it with --passphrase-file F, --passphrase-fd N or AEGIS_PASSPHRASE_FILE.',
  ),
  CONFIRMATION_REQUIRED: kind(EXIT.usage, 400, false, 'Repeat the command with --yes.'),
  // Bad data (65)
  BAD_DATA: kind(EXIT.badData, 422, false),
  BAD_HASH: kind(
    EXIT.badData,
    422,
    false,
    'The bytes are not what their name says; fetch them again.',
  ),
  BAD_SIGNATURE: kind(EXIT.badData, 422, false),
  BAD_ENCODING: kind(EXIT.badData, 422, false),
  TOO_LARGE: kind(EXIT.badData, 413, false),
  KEYSTORE_DAMAGED: kind(EXIT.badData, 500, false),
  STORE_DAMAGED: kind(EXIT.badData, 500, false),
  UNSUPPORTED_FILE: kind(EXIT.badData, 422, false),
  WRONG_SUCCESSOR: kind(
    EXIT.badData,
    422,
    false,
    'Only the successor that the last identity entry committed to can sign: aegis keys history',
  ),
  OTHER_CLUSTER: kind(EXIT.badData, 422, false, 'Every cluster has its own; see the cluster id.'),
  CONFLICT: kind(
    EXIT.badData,
    409,
    false,
    'See what has lost: aegis kb conflicts. End it: aegis kb resolve, or put what it should be.',
  ),
  OUT_OF_ORDER: kind(EXIT.badData, 409, false, 'Hand in the intents before it first.'),
  BAD_PROOF: kind(EXIT.badData, 422, false),
  DIVERGED: kind(
    EXIT.badData,
    500,
    false,
    'This node has stopped voting. Take the state anew from the other nodes.',
  ),
  BAD_ONION_ADDRESS: kind(
    EXIT.badData,
    422,
    false,
    'An onion address has 56 characters, .onion and a checksum; copy it again.',
  ),
  // Not found (66)
  NOT_FOUND: kind(EXIT.notFound, 404, false),
  NOT_KEPT: kind(EXIT.notFound, 410, false, 'See kb.keepLast and kb.keepFor, here and on others.'),
  UNREADABLE: kind(EXIT.notFound, 404, false),
  NO_HOME: kind(EXIT.notFound, 404, false, 'Make one: aegis init'),
  NO_SUCCESSOR: kind(
    EXIT.notFound,
    404,
    false,
    "Name the file of the identity's successor: --next FILE",
  ),
  ONION_NOT_FOUND: kind(
    EXIT.notFound,
    404,
    true,
    'Its node may be down, or has just started; see: aegis tor check',
  ),
  // Unavailable (69)
  DAEMON_UNREACHABLE: kind(EXIT.unavailable, 503, true, 'Start one: aegis node start'),
  NODE_TOO_OLD: kind(EXIT.unavailable, 503, false),
  SIGNER_UNREACHABLE: kind(
    EXIT.unavailable,
    503,
    true,
    'See whether `aegis keys serve` runs and whether keys.signer names its socket.',
  ),
  TOR_UNREACHABLE: kind(
    EXIT.unavailable,
    503,
    true,
    'Start Tor, name its control port with tor.control, or: aegis node start --tor-daemon spawn',
  ),
  TOR_FAILED: kind(
    EXIT.unavailable,
    503,
    true,
    'The log of aegis has the last lines of Tor; see tor.binary and tor.torrc.',
  ),
  TOR_TOO_OLD: kind(
    EXIT.unavailable,
    503,
    false,
    'Install a newer tor, or name one with tor.binary.',
  ),
  // A bug (70)
  BUG: kind(EXIT.bug, 500, false, 'This is a bug in aegis. Please report it with the log.'),
  // Exists (73)
  EXISTS: kind(EXIT.exists, 409, false),
  QUOTA: kind(
    EXIT.exists,
    507,
    false,
    'See what takes the room: aegis kb stat. Make some: aegis kb gc, or raise kb.quota.',
  ),
  ROTATION_PENDING: kind(EXIT.exists, 409, false, 'Finish it first: aegis keys rotate'),
  REPLAYED: kind(EXIT.exists, 409, false),
  ALREADY_RUNNING: kind(EXIT.exists, 409, false, 'See it: aegis node status'),
  // Try again (75)
  TRY_AGAIN: kind(EXIT.tryAgain, 503, true),
  TIMEOUT: kind(EXIT.tryAgain, 504, true),
  UNDER_REPLICATED: kind(
    EXIT.tryAgain,
    503,
    true,
    'The version is kept and will be copied when peers answer; repeating the command is harmless.',
  ),
  NOT_FINAL: kind(
    EXIT.tryAgain,
    503,
    true,
    'It is queued and durable here; repeating the command is harmless.',
  ),
  NOT_REACHABLE: kind(EXIT.tryAgain, 503, true),
  DIAL_FAILED: kind(EXIT.tryAgain, 502, true),
  STALLED: kind(EXIT.tryAgain, 504, true),
  DISK_FULL: kind(EXIT.tryAgain, 507, true, 'Free some space and repeat the command.'),
  BUSY: kind(EXIT.tryAgain, 429, true),
  STOPPING: kind(EXIT.tryAgain, 503, true),
  OVER_QUOTA: kind(
    EXIT.tryAgain,
    429,
    true,
    'Wait for the next hour, or ask the custodians for a higher quota.',
  ),
  TOR_NOT_READY: kind(
    EXIT.tryAgain,
    503,
    true,
    'Tor is still connecting to its network; see: aegis tor status',
  ),
  ONION_UNREACHABLE: kind(
    EXIT.tryAgain,
    502,
    true,
    'The service was found and does not answer; it is tried again.',
  ),
  TOR_BUSY: kind(EXIT.tryAgain, 503, true, 'Wait: Tor works on a proof, or its queue is full.'),
  ONION_CLIENTS_FULL: kind(
    EXIT.tryAgain,
    503,
    true,
    'A descriptor takes 256 client keys; with more members: tor.clientAuth off',
  ),
  // Denied (77)
  DENIED: kind(EXIT.denied, 403, false),
  NOT_ALLOWED: kind(EXIT.denied, 403, false, 'An owner of the namespace can grant the right.'),
  SEALED: kind(
    EXIT.denied,
    403,
    false,
    'This node is none of its readers; one of them can give it out, or seal it anew.',
  ),
  WRONG_PASSPHRASE: kind(EXIT.denied, 403, false),
  HELLO_REFUSED: kind(EXIT.denied, 403, false),
  SIGNER_REFUSED: kind(EXIT.denied, 403, false, 'The log of `aegis keys serve` says why.'),
  TOR_DENIED: kind(
    EXIT.denied,
    403,
    false,
    'Tor lets in who can read its cookie file or has its control password.',
  ),
  ONION_AUTH: kind(
    EXIT.denied,
    403,
    false,
    'The service lets in members only; bring what changed: aegis cluster rejoin FILE',
  ),
  EXIT_REFUSED: kind(
    EXIT.denied,
    403,
    false,
    'See tor.exits, and the flags of the SOCKS port of Tor: aegis tor check',
  ),
  // Configuration (78)
  BAD_CONFIG: kind(EXIT.badConfig, 500, false),
  HOME_TOO_NEW: kind(EXIT.badConfig, 500, false, 'Use the aegis that wrote it, or a newer one.'),
  PROTOCOL_TOO_NEW: kind(
    EXIT.badConfig,
    500,
    false,
    'Install a newer aegis on this node; what it has stays as it is.',
  ),
  KEYS_RETIRED: kind(
    EXIT.badConfig,
    409,
    false,
    'The chain knows later keys. Put them here, or: aegis keys rotate --network --consensus',
  ),
  PORT_IN_USE: kind(EXIT.badConfig, 500, false),
  SOCKET_PATH_TOO_LONG: kind(EXIT.badConfig, 500, false, 'Use a shorter --home.'),
  ROUTE_FORBIDS: kind(
    EXIT.badConfig,
    409,
    false,
    'See the route: aegis tor status. It is changed with: aegis tor route MODE',
  ),
  // Interrupted (130)
  INTERRUPTED: kind(EXIT.interrupted, 499, true),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly exit: number;
  readonly retryable: boolean;
}

export interface ErrorOptions {
  /** What to do about it; overrides the general hint of the code. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Facts for logs and tests. Never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class AegisError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AegisError';
  readonly code: C;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  /** @param message what happened and why, in plain words, without a final full stop. */
  constructor(code: C, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    const general: ErrorKind = ERRORS[code];
    this.hint = options.hint ?? general.hint;
    this.details = options.details ?? {};
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }

  get http(): number {
    return ERRORS[this.code].http;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  toBody(): ErrorBody {
    const { code, message, hint, exit, retryable } = this;
    return hint === undefined
      ? { code, message, exit, retryable }
      : { code, message, hint, exit, retryable };
  }
}

export const isAegisError = (error: unknown): error is AegisError => error instanceof AegisError;

/** Whether `error` is an AegisError of one of `codes`. */
export const hasCode = (error: unknown, ...codes: ErrorCode[]): error is AegisError =>
  isAegisError(error) && codes.includes(error.code);

/** Turns anything thrown into an AegisError; what is not known is a bug and says so. */
export function toAegisError(error: unknown): AegisError {
  if (isAegisError(error)) return error;
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AegisError('DISK_FULL', `the disk is full: ${message}`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new AegisError('DENIED', message, { cause: error });
  }
  return new AegisError('BUG', message, { cause: error });
}
