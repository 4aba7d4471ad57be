/**
 * The hello frames: what two nodes tell each other on an encrypted connection before anything else.
 * Pure: bytes in, verdict out. It does not read from the wire and does not know libp2p.
 *
 * The dialer speaks first. The listener answers with its own hello, or with a refusal if the dialer
 * has proved that it is a member, or not at all: a stranger learns nothing.
 */
import { AegisError, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { type OpenInception, openInception } from '../model/identity.ts';
import type { SignedSuccession } from '../model/succession.ts';
import type { Verified } from '../units.ts';

const HELLO_VERSION = 1;
const RPC_VERSION = 1;
const CAR_VERSION = 1;

/** What a node shows of itself. */
export interface Introduction {
  /** Signed inception entry of this node. */
  readonly inception: Uint8Array;
  /** Signed entries of its succession, oldest first; the last ones are shown (H1). */
  readonly succession: readonly Uint8Array[];
  /** The signed admission of one that joins and of whom the chain may not know yet. */
  readonly admission?: Uint8Array;
}

/** What the other node has shown: well-formed and signed, and not judged yet. */
export interface HelloClaim {
  readonly inception: Verified<OpenInception>;
  /** Oldest first, of this node. Whether they follow each other is for the judge to say. */
  readonly succession: readonly Verified<SignedSuccession>[];
  /** The key that Noise has proved. */
  readonly networkKey: Uint8Array;
  /** Bytes as they came. */
  readonly admission?: Uint8Array;
}

export type HelloVerdict =
  | { readonly type: 'member'; readonly nodeId: string; readonly name: string }
  /** For one that has proved to be, or to have been, this member. */
  | {
      readonly type: 'refused';
      readonly refusal: Refusal;
      readonly nodeId: string;
      readonly name: string;
    }
  /** Hears nothing; `why` is for our log. */
  | { readonly type: 'stranger'; readonly why: string };

/** What this node says of itself, and whom it lets in. */
export interface HelloContext {
  readonly clusterId: string;
  /** Asked anew for each hello. */
  own(): Introduction;
  /** Whether some member holds this network key; if not, the dialer only knocks (H3). */
  expects(networkKey: Uint8Array): boolean;
  judge(claim: HelloClaim): HelloVerdict;
}

/** A peer that has passed hello. */
export interface HelloIdentity {
  readonly nodeId: string;
  readonly name: string;
  /** Raw Ed25519 public key, the same that Noise has proved. */
  readonly networkKey: Uint8Array;
  /** Entry of its succession with this network key, 0 for the inception: later ones rank higher. */
  readonly keyNumber: number;
  readonly agent: string;
}

/** Why a member may still be turned away. Written literally on the wire. */
export const REFUSALS = ['VERSION', 'BUSY', 'STOPPING', 'ISOLATED', 'RETIRED', 'FROZEN'] as const;
export type Refusal = (typeof REFUSALS)[number];

type Verdict =
  | { readonly type: 'admitted'; readonly identity: HelloIdentity }
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly identity: HelloIdentity };

const MAX_TEXT = 128;
const MAX_VERSIONS = 16;

export function encodeHello(context: HelloContext, agent: string): Uint8Array {
  return encode({
    v: HELLO_VERSION,
    type: 'hello',
    clusterId: context.clusterId,
    inception: context.own().inception,
    versions: { rpc: [RPC_VERSION], car: [CAR_VERSION] },
    agent,
  });
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return encode({ v: HELLO_VERSION, type: 'refusal', reason: refusal });
}

const refused = (message: string, hint?: string): AegisError =>
  new AegisError('HELLO_REFUSED', message, hint === undefined ? {} : { hint });

const record = (value: unknown): Record<string, unknown> => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new AegisError('BAD_ENCODING', 'a hello frame is not a map');
  }
  return value as Record<string, unknown>;
};

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > MAX_TEXT) {
    throw new AegisError('BAD_ENCODING', `a hello frame has no proper ${name}`);
  }
  return value;
}

function bytes(fields: Record<string, unknown>, name: string): Uint8Array {
  const value = fields[name];
  if (!(value instanceof Uint8Array)) {
    throw new AegisError('BAD_ENCODING', `a hello frame has no proper ${name}`);
  }
  return value;
}

function speaks(versions: Record<string, unknown>, protocol: string, version: number): boolean {
  const list = versions[protocol];
  return Array.isArray(list) && list.length <= MAX_VERSIONS && list.includes(version);
}

function openFrame(frame: Uint8Array, maxBytes: number): Record<string, unknown> {
  const fields = record(decode(frame, { maxBytes }));
  if (fields['v'] !== HELLO_VERSION) {
    throw refused(
      'the other node speaks another version of hello',
      'Upgrade the older of the two.',
    );
  }
  return fields;
}

function openHello(
  fields: Record<string, unknown>,
  networkKey: Uint8Array,
  context: HelloContext,
): Verdict {
  if (text(fields, 'type') !== 'hello') throw refused('the other node did not say hello');
  if (text(fields, 'clusterId') !== context.clusterId) {
    throw refused('the other node belongs to another cluster');
  }
  const opened = openInception(bytes(fields, 'inception'));
  const judged = context.judge({ inception: opened, succession: [], networkKey });
  if (judged.type === 'stranger') throw refused(judged.why);
  const { name, nodeId } = judged;
  const agent = text(fields, 'agent');
  const identity = { nodeId, name, networkKey, keyNumber: 0, agent };
  const versions = record(fields['versions']);
  const compatible = speaks(versions, 'rpc', RPC_VERSION) && speaks(versions, 'car', CAR_VERSION);
  return compatible
    ? { type: 'admitted', identity }
    : { type: 'refused', refusal: 'VERSION', identity };
}

/** Every failure that is not already typed becomes one that names the frame, not its insides. */
function guarded<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (isAegisError(error) && error.code === 'HELLO_REFUSED') throw error;
    if (isAegisError(error))
      throw refused(`the hello of the other node is wrong: ${error.message}`);
    throw error;
  }
}

/**
 * What the listener makes of the dialer's frame.
 * @param networkKey the key that Noise has proved, 32 bytes.
 * @throws {AegisError} `HELLO_REFUSED`: answer nothing and close.
 */
export function judgeDialer(
  frame: Uint8Array,
  networkKey: Uint8Array,
  context: HelloContext,
  maxBytes: number,
): Verdict {
  return guarded(() => openHello(openFrame(frame, maxBytes), networkKey, context));
}

const REASONS: Record<Refusal, readonly [reason: string, hint: string]> = {
  VERSION: ['it speaks other versions of our protocols', 'Upgrade the older of the two nodes.'],
  BUSY: ['it has no place for another connection', 'Try again later, or raise its limits.'],
  STOPPING: ['it is stopping', 'Try again when it has come back.'],
  ISOLATED: ['it keeps itself apart from this node', 'In a devnet: aegis devnet heal'],
  RETIRED: [
    'this node has a newer network key than the one that it uses',
    'Restore its newest keys: aegis keys status',
  ],
  FROZEN: ['two successions of this node exist', 'Nobody talks to it; its operator must rejoin.'],
};

/**
 * What the dialer makes of the listener's answer.
 * @throws {AegisError} `HELLO_REFUSED`.
 */
export function judgeListener(
  frame: Uint8Array,
  networkKey: Uint8Array,
  context: HelloContext,
  maxBytes: number,
): HelloIdentity {
  return guarded(() => {
    const fields = openFrame(frame, maxBytes);
    if (fields['type'] === 'refusal') {
      const refusal = REFUSALS.find((reason) => reason === fields['reason']);
      if (refusal === undefined) throw refused('the other node refused without a known reason');
      const [reason, hint] = REASONS[refusal];
      throw new AegisError('HELLO_REFUSED', `the other node refused: ${reason}`, {
        hint,
        details: { refusal },
      });
    }
    const verdict = openHello(fields, networkKey, context);
    if (verdict.type === 'refused') {
      throw refused('the other node speaks other versions of our protocols', REASONS.VERSION[1]);
    }
    return verdict.identity;
  });
}
