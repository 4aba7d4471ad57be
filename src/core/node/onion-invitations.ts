/**
 * One-time client keys of invitations (docs/tor.md, O16). A key follows from the onion key and the
 * id of the invitation, so that only ids and their ends are kept, and a restart loses none. Whether
 * an invitation counts, the blocks decide; here is only who can find the service.
 */
import { hkdfSha256 } from '../crypto/hash.ts';
import type { OnionKey } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import type { ChainStore } from '../storage/chain-store.ts';

export const ONION_INVITATIONS_TABLE = 'node/onion-invitations';
/** Each takes a place among the client keys of the service (O15). */
export const ONION_INVITATIONS_MAX = 64;

const LABEL = Buffer.from('aegis/onion-invitation/1');
const KEY_BYTES = 32;
const ROW_BYTES_MAX = 64;

export interface OpenInvitation {
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAt: number;
}

export interface OnionInvitationsDeps {
  /** M1: whether it has been used. */
  isUsed(id: string): boolean;
  now(): number;
}

/** O16: the X25519 secret for one invitation at the service of that key; its user wipes it. */
export function invitationKeyOf(key: OnionKey, clusterId: string, id: string): Uint8Array {
  const info = Buffer.concat([LABEL, key.publicKey, Buffer.from(id)]);
  return hkdfSha256(key.expandedSecret, Buffer.from(clusterId), info, KEY_BYTES);
}

export class OnionInvitations {
  readonly #store: Pick<ChainStore, 'commit'>;
  readonly #deps: OnionInvitationsDeps;
  readonly #open: Map<string, number>;

  private constructor(
    store: Pick<ChainStore, 'commit'>,
    deps: OnionInvitationsDeps,
    open: Map<string, number>,
  ) {
    this.#store = store;
    this.#deps = deps;
    this.#open = open;
  }

  /** @throws {AegisError} `BAD_ENCODING` for a damaged row. */
  static async open(
    store: Pick<ChainStore, 'commit' | 'scan'>,
    deps: OnionInvitationsDeps,
  ): Promise<OnionInvitations> {
    const rows = await store.scan(ONION_INVITATIONS_TABLE);
    const open = new Map(rows.map(({ key, value }) => [key, readRow(value)]));
    return new OnionInvitations(store, deps, open);
  }

  /** Those that are neither used nor over. */
  all(): readonly OpenInvitation[] {
    const now = this.#deps.now();
    return [...this.#open]
      .filter(([id, expiresAt]) => expiresAt > now && !this.#deps.isUsed(id))
      .map(([id, expiresAt]) => ({ id, expiresAt }));
  }

  /** Durable when it resolves. @throws {AegisError} `BUSY` when there are too many. */
  async add({ id, expiresAt }: OpenInvitation): Promise<void> {
    const open = new Set(this.all().map((one) => one.id));
    if (open.size >= ONION_INVITATIONS_MAX) {
      throw new AegisError('BUSY', `${ONION_INVITATIONS_MAX} invitations are open already`, {
        hint: 'Wait until some of them are used or over.',
      });
    }
    const over = [...this.#open.keys()].filter((one) => !open.has(one));
    for (const one of over) this.#open.delete(one);
    this.#open.set(id, expiresAt);
    const value = encode({ v: 1, type: 'onion-invitation', expiresAt });
    await this.#store.commit([
      ...over.map((key) => ({ table: ONION_INVITATIONS_TABLE, key, value: undefined })),
      { table: ONION_INVITATIONS_TABLE, key: id, value },
    ]);
  }
}

function readRow(value: Uint8Array): number {
  const decoded = decode(value, { maxBytes: ROW_BYTES_MAX });
  return new RecordReader(decoded, 'onion-invitation', ['expiresAt']).time('expiresAt');
}
