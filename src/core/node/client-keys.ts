/**
 * Whom the onion service of this node lets in, by what the chain says, and with which keys the node
 * asks for the services of others (docs/tor.md, O13 to O16). Nothing is exchanged for it. When a
 * service is to be made anew, and whom that cuts, is for onion-keeper.ts to say.
 */
import { hex, sameBytes } from '../bytes.ts';
import type { Roster } from '../chain/roster.ts';
import { agreementKeyOf } from '../crypto/agree.ts';
import { clientEpochsAt, clientKeysOf, serviceEpochsAt } from '../crypto/client-key.ts';
import { type OnionKey, parseOnionAddress } from '../crypto/onion.ts';
import { hasCode } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { Introductions } from './introductions.ts';
import { invitationKeyOf, type OnionInvitations } from './onion-invitations.ts';

export interface ClientKeysOptions {
  readonly clusterId: string;
  readonly self: string;
  /** O16: what this node was invited with. */
  readonly invited: OpenInvitationFile | undefined;
}

export interface ClientKeysDeps {
  readonly roster: Pick<Roster, 'members' | 'isMember'>;
  readonly introductions: Pick<Introductions, 'networkKeysOf'>;
  readonly keystore: Pick<Keystore, 'current' | 'pending' | 'networkSeed' | 'retiredNetwork'>;
  readonly invitations: Pick<OnionInvitations, 'all'>;
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/** Somebody who may find the service. */
export interface LetIn {
  readonly kind: 'member' | 'invitation';
  /** Node id, or the id of the invitation. */
  readonly id: string;
  /** Of a member. */
  readonly networkKey?: Uint8Array;
  /** When that ends by itself: a grace (H2), or an invitation. */
  readonly until?: number;
}

export interface OnionClient extends LetIn {
  /** X25519 public keys: one or two, by the epochs that hold (O14). */
  readonly keys: readonly Uint8Array[];
}

export class ClientKeys {
  readonly #options: ClientKeysOptions;
  readonly #deps: ClientKeysDeps;
  /** Public client keys that were computed: each costs a key agreement. */
  #known = new Map<string, readonly Uint8Array[]>();

  constructor(options: ClientKeysOptions, deps: ClientKeysDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** O14 */
  epochs(): readonly number[] {
    return serviceEpochsAt(this.#deps.now());
  }

  /**
   * Members with each network key that hello accepts (H2), this node among them, which dials its
   * own service to check it; then invitations.
   */
  letIn(): readonly LetIn[] {
    const { roster, introductions, invitations } = this.#deps;
    const members = roster.members().flatMap(({ nodeId }) =>
      introductions.networkKeysOf(nodeId).map(
        ({ key, until }): LetIn => ({
          ...{ kind: 'member', id: nodeId, networkKey: key },
          ...(until === undefined ? {} : { until }),
        }),
      ),
    );
    const open = invitations
      .all()
      .map(({ id, expiresAt }): LetIn => ({ kind: 'invitation', id, until: expiresAt }));
    return [...members, ...open];
  }

  /** O13: the same with their keys at the service of that onion key. */
  clientsOf(key: OnionKey): readonly OnionClient[] {
    const before = this.#known;
    const known = new Map<string, readonly Uint8Array[]>();
    const epochs = this.epochs();
    const clients = this.letIn().flatMap((one): OnionClient[] => {
      const mark = [
        key.address,
        one.id,
        hex(one.networkKey ?? new Uint8Array(0)),
        ...epochs,
      ].join();
      const keys = before.get(mark) ?? this.#publicKeys(one, key, epochs);
      known.set(mark, keys);
      return keys.length === 0 ? [] : [{ ...one, keys }];
    });
    // Those of another service than this one are made again when it is asked for.
    this.#known = known;
    return clients;
  }

  /**
   * O14: X25519 secrets for the service of another node, the likeliest first. Its user wipes them.
   */
  candidates(service: Uint8Array): readonly Uint8Array[] {
    const epochs = clientEpochsAt(this.#deps.now());
    const seeds = this.#ownSeeds();
    try {
      const byKey = seeds.map((network) => this.#keysOf(service, network, epochs));
      const found = epochs.flatMap((_, at) => byKey.map((keys) => keys[at]).filter(isThere));
      const invitation = this.#invitationKey(service);
      if (invitation === undefined) return found;
      // O16: before the chain knows this node, nothing else leads to anybody.
      const isMember = this.#deps.roster.isMember(this.#options.self);
      return isMember ? [...found, invitation] : [invitation, ...found];
    } finally {
      for (const { seed } of seeds) seed.fill(0);
    }
  }

  /** None for a member whose key is no proper one: it is not let in. */
  #publicKeys(one: LetIn, key: OnionKey, epochs: readonly number[]): readonly Uint8Array[] {
    const { clusterId } = this.#options;
    if (one.networkKey === undefined) {
      return [publicOf(invitationKeyOf(key, clusterId, one.id))];
    }
    try {
      const names = { clusterId, service: key.publicKey, client: one.networkKey };
      return clientKeysOf(names, epochs, { onion: key.expandedSecret }).map(publicOf);
    } catch (error) {
      if (!hasCode(error, 'BAD_DATA')) throw error;
      return [];
    }
  }

  #keysOf(service: Uint8Array, own: OwnSeed, epochs: readonly number[]): readonly Uint8Array[] {
    const { clusterId } = this.#options;
    const names = { clusterId, service, client: own.publicKey };
    try {
      return clientKeysOf(names, epochs, { network: own.seed });
    } catch (error) {
      if (!hasCode(error, 'BAD_DATA')) throw error;
      return [];
    }
  }

  /** Of the network key in force, of that which is to follow it, and of that before it. */
  #ownSeeds(): readonly OwnSeed[] {
    const { keystore } = this.#deps;
    const pending = keystore.pending();
    const keys = [keystore.current, ...(pending === undefined ? [] : [pending.after])];
    const seeds: OwnSeed[] = [];
    for (const { keys: one } of keys) {
      const publicKey = one.networkKey;
      if (seeds.some((known) => sameBytes(known.publicKey, publicKey))) continue;
      try {
        seeds.push({ publicKey, seed: keystore.networkSeed(publicKey) });
      } catch (error) {
        // K3: a home may lack a key in force.
        if (!hasCode(error, 'KEYS_RETIRED')) throw error;
      }
    }
    const retired = keystore.retiredNetwork(this.#deps.now());
    return retired === undefined ? seeds : [...seeds, retired];
  }

  #invitationKey(service: Uint8Array): Uint8Array | undefined {
    const onion = this.#options.invited?.file.onion;
    if (onion === undefined) return undefined;
    if (!sameBytes(parseOnionAddress(onion.address), service)) return undefined;
    return Uint8Array.from(onion.clientKey);
  }
}

interface OwnSeed {
  readonly publicKey: Uint8Array;
  readonly seed: Uint8Array;
}

const isThere = <T>(one: T | undefined): one is T => one !== undefined;

/** The public half; the secret is of no more use here. */
function publicOf(secret: Uint8Array): Uint8Array {
  const publicKey = agreementKeyOf(secret);
  secret.fill(0);
  return publicKey;
}
