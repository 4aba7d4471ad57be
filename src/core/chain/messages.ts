/**
 * The messages of the chain, in dag-cbor: a list that begins with the version and the type.
 * Decoding checks shapes and limits, and gathers the signatures of intents, which the caller
 * verifies off the loop before the machine sees the message.
 */
import { Fields, fromHex, hex } from '../consensus/fields.ts';
import {
  CONSENSUS_PROTOCOL,
  type ConsensusMessage,
  decodeMessage as decodeConsensus,
} from '../consensus/messages.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { type IntentContext, readIntent, type SignedIntent } from '../model/intent.ts';
import type { SignatureCheck } from '../model/signed.ts';
import { LIMITS } from './limits.ts';
import { type OpenedBlock, openBlockBytes } from './opened-block.ts';
import { isSyncType, readSyncMessage, type SyncMessage, syncFields } from './sync-messages.ts';
import type { BlockWindow } from './types.ts';
import { type FetchedWindow, readWindowCertificate } from './window.ts';

export { CONSENSUS_PROTOCOL };
export const CHAIN_PROTOCOL = 'chain';

export type ChainMessage =
  /** Of consensus. A proposal brings its block. */
  | {
      readonly type: 'consensus';
      readonly message: ConsensusMessage;
      readonly block: OpenedBlock | undefined;
    }
  | { readonly type: 'intents'; readonly intents: readonly SignedIntent[] }
  | Announcement
  /** Final blocks, or the undecided one of a digest at `from`. */
  | {
      readonly type: 'want';
      readonly from: number;
      readonly to: number;
      readonly digest: string | undefined;
    }
  /** The answer to a `want` from that height on. */
  | {
      readonly type: 'blocks';
      readonly from: number;
      /** Undefined: the sender does not have them. */
      readonly window: FetchedWindow | undefined;
    }
  /** An undecided block that was wanted. */
  | { readonly type: 'candidate'; readonly block: OpenedBlock }
  | { readonly type: 'index-request'; readonly nonce: number }
  /** The highest height for which the sender has voted `commit`, and a certificate of it. */
  | {
      readonly type: 'index-reply';
      readonly nonce: number;
      readonly height: number;
      readonly certificate: Uint8Array | undefined;
    }
  | SyncMessage;

/** What the sender has. */
export interface Announcement {
  readonly type: 'announce';
  /** Its last final block. */
  readonly height: number;
  readonly digest: string;
  /** Z2: the lowest height whose block it keeps; undefined: it has not said. */
  readonly base?: number | undefined;
  /** Y4: the height of the latest snapshot that it offers; 0: of none. */
  readonly snapshot?: number | undefined;
}

/** As it is sent: bytes in place of what they decode to. */
export type OutgoingMessage =
  | { readonly type: 'intents'; readonly intents: readonly Uint8Array[] }
  | Extract<ChainMessage, { type: 'announce' | 'want' | 'index-request' | 'index-reply' }>
  | {
      readonly type: 'blocks';
      readonly from: number;
      readonly window: BlockWindow | undefined;
    }
  | SyncMessage
  | { readonly type: 'candidate'; readonly block: Uint8Array };

const CERTIFICATE_BYTES_MAX = 512;

export const encodeMessage = (message: OutgoingMessage): Uint8Array =>
  encode([1, message.type, ...fieldsOf(message)]);

function fieldsOf(message: OutgoingMessage): readonly unknown[] {
  switch (message.type) {
    case 'intents':
      return [message.intents];
    case 'announce':
      return [message.height, fromHex(message.digest), message.base ?? 1, message.snapshot ?? 0];
    case 'want': {
      const { from, to, digest } = message;
      return [from, to, digest === undefined ? null : fromHex(digest)];
    }
    case 'blocks':
      return [message.from, message.window?.blocks ?? [], message.window?.certificate ?? null];
    case 'candidate':
      return [message.block];
    case 'index-request':
      return [message.nonce];
    case 'index-reply':
      return [message.nonce, message.height, message.certificate ?? null];
    default:
      return syncFields(message);
  }
}

export interface OpenOptions extends IntentContext {
  /** The last final height here. */
  height(): number;
  /**
   * Whether the identity key of an author in a key epoch is known here. What is signed with another
   * one may be right all the same: it may follow from blocks that this node lacks.
   */
  hasKey(author: string, keyEpoch: number): boolean;
  /** Whether the signature of the intent with this digest has been verified before. */
  isKnown(digest: string): boolean;
  /** Whether it waits here already: sent again, it is not read again. @default nothing waits */
  isWaiting?(digest: string): boolean;
}

export interface OpenedMessage {
  readonly message: ChainMessage;
  /** What must hold before the message is `verified`. */
  readonly checks: readonly SignatureCheck[];
  /**
   * Something was left out, since a key epoch or an author that it names is not known here yet.
   * Opened again when the members or their keys have changed, it may say more.
   */
  readonly isEarly: boolean;
}

/**
 * Opens an envelope of the protocols `chain` and `consensus`.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function openMessage(
  protocol: string,
  body: Uint8Array,
  options: OpenOptions,
): OpenedMessage {
  const found = new Found(options);
  const message =
    protocol === CONSENSUS_PROTOCOL
      ? openConsensus(body, options, found)
      : openChain(body, options, found);
  return { message, checks: found.checks, isEarly: found.isEarly };
}

/** What there is to verify, as far as the keys for it are known here. */
class Found {
  readonly checks: SignatureCheck[] = [];
  isEarly = false;
  readonly #options: OpenOptions;

  constructor(options: OpenOptions) {
    this.#options = options;
  }

  /** @returns whether the keys of all are known; only then they are added. */
  add(checks: readonly SignatureCheck[]): boolean {
    const isKnown = checks.every(
      ({ key, author, keyEpoch }) => key !== undefined || this.#options.hasKey(author, keyEpoch),
    );
    if (isKnown) this.checks.push(...checks);
    else this.isEarly = true;
    return isKnown;
  }

  /** @returns those by keys that are not known here; only the others are added. */
  addKnown(checks: readonly SignatureCheck[]): SignatureCheck[] {
    const late: SignatureCheck[] = [];
    for (const check of checks) {
      const { key, author, keyEpoch } = check;
      const isKnown = key !== undefined || this.#options.hasKey(author, keyEpoch);
      (isKnown ? this.checks : late).push(check);
    }
    return late;
  }

  /**
   * The same of a block. One that follows the last final one names no keys but those that are known
   * here (A2): if it does, it is no block, and whoever sent it hears so.
   */
  addBlock({ block }: OpenedBlock, checks: readonly SignatureCheck[]): boolean {
    if (block.header.height > this.#options.height() + 1) return this.add(checks);
    this.checks.push(...checks);
    return true;
  }
}

function openBlockOf(
  bytes: Uint8Array,
  options: OpenOptions,
  found: Found,
): { readonly opened: OpenedBlock; readonly isKnown: boolean } {
  const checks: SignatureCheck[] = [];
  const opened = openBlockBytes(bytes, options, checks);
  return { opened, isKnown: found.addBlock(opened, checks) };
}

/** What is left of a block that comes too early: whoever has it, has the one before as final. */
const announced = ({ block: { header } }: OpenedBlock): ChainMessage => ({
  type: 'announce',
  height: header.height - 1,
  digest: hex(header.previous),
});

function openConsensus(body: Uint8Array, options: OpenOptions, found: Found): ChainMessage {
  const message = decodeConsensus(body);
  if (message.type !== 'proposal') return { type: 'consensus', message, block: undefined };
  const { opened: block, isKnown } = openBlockOf(message.payload, options, found);
  const { digest, header } = block.block;
  if (digest !== message.digest || header.height !== message.height) {
    throw new AegisError('BAD_ENCODING', 'the proposal is not for the block that it carries');
  }
  return isKnown ? { type: 'consensus', message, block } : announced(block);
}

function openChain(body: Uint8Array, options: OpenOptions, found: Found): ChainMessage {
  const value = decode(body, { maxBytes: LIMITS.messageBytes });
  if (!Array.isArray(value) || value[0] !== 1) {
    throw new AegisError('BAD_ENCODING', 'a message of the chain has an unknown version');
  }
  const type: unknown = value[1];
  const rest: unknown[] = value.slice(2);
  switch (type) {
    case 'intents':
      return readIntents(new Fields(rest, 1, 'message of intents'), options, found);
    case 'announce': {
      const fields = new Fields(rest, 4, 'announcement');
      const [height, digest, base] = [fields.height(0), fields.digest(), fields.height()];
      return { type, height, digest, base, snapshot: fields.height(0) };
    }
    case 'want':
      return readWant(new Fields(rest, 3, 'request for blocks'));
    case 'blocks':
      return readBlocks(new Fields(rest, 3, 'message of blocks'), options, found);
    case 'candidate': {
      const bytes = new Fields(rest, 1, 'candidate').blob(LIMITS.blockBytes);
      const { opened: block, isKnown } = openBlockOf(bytes, options, found);
      return isKnown ? { type, block } : announced(block);
    }
    case 'index-request': {
      const fields = new Fields(rest, 1, 'index request');
      return { type, nonce: fields.integer(1, Number.MAX_SAFE_INTEGER) };
    }
    case 'index-reply': {
      const fields = new Fields(rest, 3, 'index reply');
      const nonce = fields.integer(1, Number.MAX_SAFE_INTEGER);
      const height = fields.height(0);
      return { type, nonce, height, certificate: fields.optional(certificateBytes) };
    }
    default:
      if (isSyncType(type)) return readSyncMessage(type, rest);
      throw new AegisError('BAD_ENCODING', 'a message of the chain has an unknown type');
  }
}

const certificateBytes = (value: unknown): Uint8Array =>
  new Fields([value], 1, 'certificate').blob(CERTIFICATE_BYTES_MAX);

function readIntents(fields: Fields, options: OpenOptions, found: Found): ChainMessage {
  const list = fields.list(LIMITS.messageIntents, intentBytes);
  const isNew = (bytes: Uint8Array): boolean => options.isWaiting?.(sha256Hex(bytes)) !== true;
  const intents = list.filter(isNew).flatMap((bytes) => {
    const { signed, checks } = readIntent(bytes, options);
    return options.isKnown(signed.digest) || found.add(checks) ? [signed] : [];
  });
  return { type: 'intents', intents };
}

const intentBytes = (value: unknown): Uint8Array =>
  new Fields([value], 1, 'message of intents').blob(LIMITS.messageBytes);

function readWant(fields: Fields): ChainMessage {
  const from = fields.height();
  const to = fields.height();
  const digest = fields.optional((bytes) => new Fields([bytes], 1, 'request').digest());
  if (to < from) throw fields.bad('ends before it begins');
  return { type: 'want', from, to, digest };
}

/**
 * What can be verified off the loop is: signatures by keys that are not known here yet, since an
 * earlier block brings them, are verified when their block is executed.
 */
function readBlocks(fields: Fields, options: OpenOptions, found: Found): ChainMessage {
  const from = fields.height();
  const all = fields.list(LIMITS.windowBlocks, (item) =>
    new Fields([item], 1, 'final block').blob(LIMITS.blockBytes),
  );
  const certificate = fields.optional(certificateBytes);
  if (all.length === 0 || certificate === undefined) {
    return { type: 'blocks', from, window: undefined };
  }
  const late: SignatureCheck[][] = [];
  const blocks = all.map((bytes) => {
    const checks: SignatureCheck[] = [];
    const opened = openBlockBytes(bytes, options, checks);
    late.push(found.addKnown(checks));
    return opened;
  });
  const read = readWindowCertificate(certificate);
  return { type: 'blocks', from, window: { blocks, late, certificate: read } };
}
