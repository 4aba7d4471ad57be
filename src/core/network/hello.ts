/**
 * The frames of hello: what two nodes tell each other on an encrypted connection before anything
 * else (docs/keys.md, H1 to H4). Pure: bytes in, verdict out. It does not read from the wire, does
 * not know libp2p, and does not know who is a member: the context judges.
 *
 * The dialer speaks first. To a network key that it knows it says hello; to another one it knocks,
 * and the listener introduces itself first. The listener answers a hello with its own, with a
 * welcome after a knock, with a refusal to who has proved to be a member, and else not at all: a
 * stranger learns nothing.
 */

import { timingSafeEqual } from 'node:crypto';
import { sameBytes } from '../bytes.ts';
import { sha256, sha256Hex } from '../crypto/hash.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { nodeIdOf, type OpenInception, openInception } from '../model/identity.ts';
import { checkHolds } from '../model/signed.ts';
import { HELLO_ENTRIES_MAX, readSuccession, type SignedSuccession } from '../model/succession.ts';
import { type Verified, verified } from '../units.ts';
import { isKnock, type KnockKeys, knockOf } from './knock.ts';
import type { Purpose } from './passages.ts';

const HELLO_VERSION = 2;
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
  /**
   * Oldest first, without a gap, all of this node, none signed by nobody. Whether the first of them
   * follows what is known, and who may sign what (S2 to S5), is for the judge to say.
   */
  readonly succession: readonly Verified<SignedSuccession>[];
  /** The key that Noise has proved; the inception or one of the entries has it. */
  readonly networkKey: Uint8Array;
  /** Bytes as they came. */
  readonly admission?: Uint8Array;
}

/** A claim of which nothing is verified. */
export interface HelloShown {
  readonly nodeId: string;
  readonly succession: readonly SignedSuccession[];
  readonly networkKey: Uint8Array;
  readonly admission: Uint8Array | undefined;
}

export type HelloVerdict =
  | {
      readonly type: 'member';
      readonly nodeId: string;
      readonly name: string;
      /** @default by what it shows, for want of other knowledge */
      readonly keyNumber?: number | undefined;
    }
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
  /**
   * Whether the node may be let in at all, asked before its signatures are verified: a stranger
   * with the genesis makes this node verify nothing. One that shows an admission is not asked for.
   */
  knows?(nodeId: string): boolean;
  /**
   * Whether what is shown could make the network key that of a member, or of one that is invited,
   * asked before the signatures in it are verified: anybody can sign entries that lead nowhere.
   */
  leads?(shown: HelloShown): boolean;
  /**
   * The member that has, or has had, a network key, by what is final. What a member shows does not
   * count: anybody may put the key of another into a succession (S6 refuses it later).
   */
  ownerOf?(networkKey: Uint8Array): string | undefined;
  judge(claim: HelloClaim): HelloVerdict;
}

/** A peer that has passed hello. */
export interface HelloIdentity {
  readonly nodeId: string;
  readonly name: string;
  /** Raw Ed25519 public key, the same that Noise has proved. */
  readonly networkKey: Uint8Array;
  /**
   * Number of the first entry with this network key, 0 for the inception. Each entry states all
   * keys, so of two keys of one node the later one has the greater number. The judge says it:
   * whoever has an old key, and shows entries of its own making, would rank above the owner.
   */
  readonly keyNumber: number;
  readonly agent: string;
  /** Drawn at random by each process (hex): two at one time are two daemons with one identity. */
  readonly instance: string | undefined;
}

/** Why a member may still be turned away. Written literally on the wire. */
export const REFUSALS = ['VERSION', 'BUSY', 'STOPPING', 'ISOLATED', 'RETIRED', 'FROZEN'] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface Heard {
  readonly identity: HelloIdentity;
  /** What the dialer wants the connection for (O11). */
  readonly purpose: Purpose;
  /** Those that its node shows to have, or to have had. Only that of the identity is proved. */
  readonly networkKeys: readonly Uint8Array[];
}

export type Judged =
  | ({ readonly type: 'admitted' } & Heard)
  | ({ readonly type: 'refused'; readonly refusal: Refusal } & Heard);

/** What a frame is read with. */
export interface HelloReading {
  readonly context: HelloContext;
  /** The key that Noise has proved at the other end, 32 bytes. */
  readonly networkKey: Uint8Array;
  /** Of the frame. */
  readonly maxBytes: number;
}

const MAX_TEXT = 128;
const MAX_VERSIONS = 16;
export const INSTANCE_BYTES = 16;

/**
 * This node's hello in at most `maxBytes`. Where not all of the succession fits, its last entries
 * are shown (H1); an admission that fits no more is left out.
 */
export function encodeHello(
  context: HelloContext,
  agent: string,
  maxBytes: number,
  instance?: Uint8Array,
  purpose: Purpose = 'talk',
): Uint8Array {
  const { inception, succession, admission } = context.own();
  const { clusterId } = context;
  const versions = { rpc: [RPC_VERSION], car: [CAR_VERSION] };
  const frame = (entries: readonly Uint8Array[], extra: { admission?: Uint8Array }): Uint8Array => {
    const shown = { clusterId, inception, succession: [...entries], ...extra };
    const process = instance === undefined ? {} : { instance };
    // A lane is neither a second daemon nor a twin of the connection that talks (O11).
    const lane = purpose === 'lane' ? { purpose } : {};
    const rest = { versions, agent, ...process, ...lane };
    return encode({ v: HELLO_VERSION, type: 'hello', ...shown, ...rest });
  };
  for (const extra of admission === undefined ? [{}] : [{ admission }, {}]) {
    for (let from = Math.max(0, succession.length - HELLO_ENTRIES_MAX); ; from += 1) {
      const encoded = frame(succession.slice(from), extra);
      if (encoded.byteLength <= maxBytes) return encoded;
      if (from >= succession.length) break;
    }
  }
  throw new AegisError('TOO_LARGE', `the hello of this node is over ${maxBytes} bytes`);
}

export const encodeKnock = (clusterId: string, keys: KnockKeys): Uint8Array =>
  encode({ v: HELLO_VERSION, type: 'knock', mac: knockOf(clusterId, keys) });

/** After a knock: the hello of the dialer is accepted. */
export const encodeWelcome = (): Uint8Array => encode({ v: HELLO_VERSION, type: 'welcome' });

export const encodeRefusal = (refusal: Refusal): Uint8Array =>
  encode({ v: HELLO_VERSION, type: 'refusal', reason: refusal });

const refused = (message: string, hint?: string): AegisError =>
  new AegisError('HELLO_REFUSED', message, hint === undefined ? {} : { hint });

const malformed = (what: string): AegisError =>
  new AegisError('BAD_ENCODING', `a hello frame has no proper ${what}`);

const record = (value: unknown): Record<string, unknown> => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new AegisError('BAD_ENCODING', 'a hello frame is not a map');
  }
  return value as Record<string, unknown>;
};

function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value.length > MAX_TEXT) throw malformed(name);
  return value;
}

function bytes(fields: Record<string, unknown>, name: string): Uint8Array {
  const value = fields[name];
  if (!(value instanceof Uint8Array)) throw malformed(name);
  return value;
}

function entriesOf(fields: Record<string, unknown>): readonly Uint8Array[] {
  const list = fields['succession'];
  if (!Array.isArray(list) || list.length > HELLO_ENTRIES_MAX) throw malformed('succession');
  return list.map((one: unknown) => {
    if (!(one instanceof Uint8Array)) throw malformed('succession');
    return one;
  });
}

function speaks(versions: Record<string, unknown>, protocol: string, version: number): boolean {
  const list = versions[protocol];
  return Array.isArray(list) && list.length <= MAX_VERSIONS && list.includes(version);
}

/** Compares texts in a time that does not tell where they differ. */
const sameText = (a: string, b: string): boolean =>
  timingSafeEqual(sha256(Buffer.from(a)), sha256(Buffer.from(b)));

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

/** What is shown, with all signatures verified and the form of the succession checked. */
function openClaim(
  fields: Record<string, unknown>,
  { context, networkKey }: HelloReading,
): HelloClaim {
  const entries = entriesOf(fields).map(readSuccession);
  const nodeId = nodeIdOf(bytes(fields, 'inception'));
  const admission = fields['admission'] === undefined ? undefined : bytes(fields, 'admission');
  const shown = entries.map(({ signed }) => signed);
  if (context.leads?.({ nodeId, succession: shown, networkKey, admission }) === false) {
    throw refused(`the network key at the other end was never that of ${nodeId}`);
  }
  const opened = openInception(bytes(fields, 'inception'));
  const succession = entries.map(({ signed, check }) => {
    checkHolds('succession', check, check.key);
    return verified(signed);
  });
  for (const [at, { succession: entry }] of succession.entries()) {
    if (entry.nodeId !== opened.nodeId) throw refused('it shows the succession of another node');
    const before = succession[at - 1];
    const previous = before?.digest ?? (entry.number === 1 ? sha256Hex(opened.bytes) : undefined);
    const follows =
      (before === undefined || entry.number === before.succession.number + 1) &&
      (previous === undefined || Buffer.from(entry.previous).toString('hex') === previous);
    if (!follows) throw refused('it shows a succession with a gap');
  }
  const claim = { inception: opened, succession, networkKey };
  if (!keysOf(claim).some((key) => sameBytes(key, networkKey))) {
    throw refused('the other node claims an identity that does not own its network key');
  }
  return admission === undefined ? claim : { ...claim, admission };
}

const keysOf = ({ inception, succession }: HelloClaim): Uint8Array[] => [
  inception.inception.networkKey,
  ...succession.map((entry) => entry.succession.keys.networkKey),
];

function keyNumberOf({ inception, succession, networkKey }: HelloClaim): number {
  if (sameBytes(inception.inception.networkKey, networkKey)) return 0;
  const first = succession.find((one) => sameBytes(one.succession.keys.networkKey, networkKey));
  return first?.succession.number ?? 0;
}

function instanceOf(fields: Record<string, unknown>): string | undefined {
  if (fields['instance'] === undefined) return undefined;
  const instance = bytes(fields, 'instance');
  if (instance.length === INSTANCE_BYTES) return Buffer.from(instance).toString('hex');
  throw new AegisError('BAD_ENCODING', 'a hello frame has no proper instance');
}

function purposeOf(fields: Record<string, unknown>): Purpose {
  const purpose = fields['purpose'] ?? 'talk';
  if (purpose === 'talk' || purpose === 'lane') return purpose;
  throw malformed('purpose');
}

function openHello(fields: Record<string, unknown>, reading: HelloReading): Judged {
  const { context, networkKey } = reading;
  if (text(fields, 'type') !== 'hello') throw refused('the other node did not say hello');
  // H3: who does not have the genesis costs no verification, and learns nothing by that.
  if (!sameText(text(fields, 'clusterId'), context.clusterId)) {
    throw refused('the other node belongs to another cluster');
  }
  const agent = text(fields, 'agent');
  const versions = record(fields['versions']);
  const claimed = nodeIdOf(bytes(fields, 'inception'));
  if (fields['admission'] === undefined && context.knows?.(claimed) === false) {
    throw refused(`node ${claimed} is not a member of this cluster`);
  }
  const claim = openClaim(fields, reading);
  const verdict = context.judge(claim);
  if (verdict.type === 'stranger') throw refused(verdict.why);
  const { nodeId, name } = verdict;
  const judged = verdict.type === 'member' ? verdict.keyNumber : undefined;
  const keyNumber = judged ?? keyNumberOf(claim);
  const identity = { nodeId, name, networkKey, keyNumber, agent, instance: instanceOf(fields) };
  const heard: Heard = { identity, networkKeys: keysOf(claim), purpose: purposeOf(fields) };
  if (verdict.type === 'refused') return { type: 'refused', refusal: verdict.refusal, ...heard };
  const compatible = speaks(versions, 'rpc', RPC_VERSION) && speaks(versions, 'car', CAR_VERSION);
  return compatible
    ? { type: 'admitted', ...heard }
    : { type: 'refused', refusal: 'VERSION', ...heard };
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
 * What the listener makes of the dialer's first frame: a knock that holds, or a hello.
 * @throws {AegisError} `HELLO_REFUSED`: answer nothing and close.
 */
export function judgeFirst(
  frame: Uint8Array,
  reading: HelloReading,
  ownKey: Uint8Array,
): { readonly type: 'knock' } | Judged {
  return guarded(() => {
    const fields = openFrame(frame, reading.maxBytes);
    if (fields['type'] !== 'knock') return openHello(fields, reading);
    const keys = { dialer: reading.networkKey, listener: ownKey };
    if (isKnock(bytes(fields, 'mac'), reading.context.clusterId, keys)) return { type: 'knock' };
    throw refused('the other node knocks and does not know this cluster');
  });
}

/**
 * What the listener makes of the hello that follows a knock.
 * @throws {AegisError} `HELLO_REFUSED`: answer nothing and close.
 */
export const judgeDialer = (frame: Uint8Array, reading: HelloReading): Judged =>
  guarded(() => openHello(openFrame(frame, reading.maxBytes), reading));

/** Of the other node: why it refuses us; of us: why we refuse it. */
const REASONS: Record<Refusal, readonly [reason: string, hint: string]> = {
  VERSION: ['it speaks other versions of our protocols', 'Upgrade the older of the two nodes.'],
  BUSY: ['it has no place for another connection', 'Try again later, or raise its limits.'],
  STOPPING: ['it is stopping', 'Try again when it has come back.'],
  ISOLATED: ['it keeps itself apart from this node', 'In a devnet: aegis devnet heal'],
  RETIRED: [
    'the cluster knows a newer network key of this node',
    'This home lacks the newest keys of its node: aegis keys list',
  ],
  FROZEN: [
    'there are two successions of this node',
    'A frozen node is let in by nobody. See the evidence: aegis consensus evidence',
  ],
};

const OURS: Partial<Record<Refusal, string>> = {
  VERSION: 'the other node speaks other versions of our protocols',
  RETIRED: 'the other node uses a network key that has been replaced',
  FROZEN: 'there are two successions of the other node',
};

function checkRefusal(fields: Record<string, unknown>): void {
  if (fields['type'] !== 'refusal') return;
  const refusal = REFUSALS.find((reason) => reason === fields['reason']);
  if (refusal === undefined) throw refused('the other node refused without a known reason');
  const [reason, hint] = REASONS[refusal];
  const details = { refusal };
  throw new AegisError('HELLO_REFUSED', `the other node refused: ${reason}`, { hint, details });
}

/**
 * What the dialer makes of the listener's answer to a hello, or of its introduction after a knock.
 * @throws {AegisError} `HELLO_REFUSED`.
 */
export function judgeListener(frame: Uint8Array, reading: HelloReading): Heard {
  return guarded(() => {
    const fields = openFrame(frame, reading.maxBytes);
    checkRefusal(fields);
    const judged = openHello(fields, reading);
    if (judged.type === 'admitted') return judged;
    const { refusal } = judged;
    throw refused(
      OURS[refusal] ?? `this node refuses the other one (${refusal})`,
      refusal === 'VERSION' ? REASONS.VERSION[1] : undefined,
    );
  });
}

/**
 * The listener's last word after a knock and a hello.
 * @throws {AegisError} `HELLO_REFUSED` unless it is a welcome.
 */
export function checkWelcome(frame: Uint8Array, maxBytes: number): void {
  guarded(() => {
    const fields = openFrame(frame, maxBytes);
    checkRefusal(fields);
    if (fields['type'] !== 'welcome') throw refused('the other node did not say welcome');
  });
}
