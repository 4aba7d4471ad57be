/**
 * The hello frames: what two nodes tell each other on an encrypted connection before anything else.
 * Pure: bytes in, verdict out. It does not read from the wire and does not know libp2p.
 *
 * The dialer speaks first. The listener answers with its own hello, or with a refusal if the dialer
 * has proved that it is a member, or not at all: a stranger learns nothing.
 */
import { AegisError, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { openInception } from '../model/identity.ts';

const HELLO_VERSION = 1;
const RPC_VERSION = 1;
const CAR_VERSION = 1;

/** What this node says of itself, and whom it lets in. */
export interface HelloContext {
  readonly clusterId: string;
  /** Signed inception entry of this node. */
  readonly inception: Uint8Array;
  /** Whether the node id is a member of the cluster (and not banned). */
  admit(nodeId: string): boolean;
  /**
   * Whether some member holds this network key; asked before the dialer says anything. Left out:
   * the dialer introduces itself to whoever answers at the address.
   */
  expects?(networkKey: Uint8Array): boolean;
}

/** A peer that has passed hello. */
export interface HelloIdentity {
  readonly nodeId: string;
  readonly name: string;
  /** Raw Ed25519 public key, the same that Noise has proved. */
  readonly networkKey: Uint8Array;
  readonly agent: string;
}

/** Why a member may still be turned away. Written literally on the wire. */
export const REFUSALS = ['VERSION', 'BUSY', 'STOPPING', 'ISOLATED'] as const;
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
    inception: context.inception,
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

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

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
  const { inception, nodeId } = openInception(bytes(fields, 'inception'));
  if (!sameBytes(inception.networkKey, networkKey)) {
    throw refused('the other node claims an identity that does not own its network key');
  }
  if (!context.admit(nodeId)) {
    throw refused(`node ${nodeId} is not a member of this cluster`);
  }
  const agent = text(fields, 'agent');
  const identity = { nodeId, name: inception.name, networkKey, agent };
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
