/** Members with successions, and what a node may know of them: both as the tests want them. */
import { randomBytes } from 'node:crypto';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf } from '../../../src/core/crypto/sign.ts';
import { furthest } from '../../../src/core/model/furthest.ts';
import { createInception, nodeIdOf, openInception } from '../../../src/core/model/identity.ts';
import {
  createSuccession,
  follow,
  type KeyState,
  originOf,
  type SignedSuccession,
} from '../../../src/core/model/succession.ts';
import type {
  HelloClaim,
  HelloContext,
  HelloVerdict,
  Introduction,
} from '../../../src/core/network/hello.ts';
import type { Verified } from '../../../src/core/units.ts';

type Entry = Verified<SignedSuccession>;

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

export class Member {
  readonly name: string;
  readonly nodeId: string;
  readonly inception: Uint8Array;
  readonly origin: KeyState;
  readonly entries: Entry[] = [];
  /** Of all its network keys, oldest first. */
  readonly seeds: Uint8Array[];
  readonly #successor = signerOf(randomBytes(32));
  #state: KeyState;

  constructor(name: string, networkSeed: Uint8Array = randomBytes(32)) {
    this.name = name;
    this.seeds = [networkSeed];
    const fields = { name, zone: 'z', region: 'r', createdAt: 1 };
    const keys = { networkKey: publicKeyOf(networkSeed), onionKey: publicKeyOf(randomBytes(32)) };
    const nextIdentityDigest = sha256(this.#successor.publicKey);
    const signer = signerOf(randomBytes(32));
    this.inception = createInception({ ...fields, ...keys, nextIdentityDigest }, signer);
    this.nodeId = nodeIdOf(this.inception);
    this.origin = originOf({
      nodeId: this.nodeId,
      inception: openInception(this.inception).inception,
      inceptionBytes: this.inception,
      consensusKey: new Uint8Array(48),
      possession: new Uint8Array(96),
      vrfKey: new Uint8Array(32),
    });
    this.#state = this.origin;
  }

  get networkSeed(): Uint8Array {
    return this.seeds.at(-1)!;
  }

  get networkKey(): Uint8Array {
    return publicKeyOf(this.networkSeed);
  }

  introduction(): Introduction {
    return { inception: this.inception, succession: this.entries.map((entry) => entry.bytes) };
  }

  /** An entry with another network key that would follow; nothing changes here. */
  prepare(
    networkSeed: Uint8Array = randomBytes(32),
    reason: 'routine' | 'compromised' = 'routine',
  ): Entry {
    const keys = { networkKey: publicKeyOf(networkSeed) };
    const change = { keys, replaced: ['network'] as const, reason, createdAt: Date.now() };
    return createSuccession(this.#state, change, this.#successor);
  }

  /** Takes another network key. @returns its seed. */
  rotate(reason: 'routine' | 'compromised' = 'routine'): Uint8Array {
    const seed = randomBytes(32);
    this.claim(seed, reason);
    this.seeds.push(seed);
    return seed;
  }

  /** An entry with any network key, also one that this member does not hold. */
  claim(networkSeed: Uint8Array, reason: 'routine' | 'compromised' = 'routine'): void {
    const entry = this.prepare(networkSeed, reason);
    this.#state = follow(this.#state, entry);
    this.entries.push(entry);
  }

  /** An entry that replaces nothing (S4). */
  extend(): void {
    const change = { keys: {}, replaced: [], createdAt: Date.now() };
    const entry = createSuccession(this.#state, change, this.#successor);
    this.#state = follow(this.#state, entry);
    this.entries.push(entry);
  }
}

/** What one node knows: members, their entries so far, whom it takes for frozen or has banned. */
export class Knowledge {
  readonly #members: readonly Member[];
  readonly #held = new Map<string, readonly Entry[]>();
  /** Those that blocks have told. */
  readonly #final = new Map<string, readonly Entry[]>();
  readonly frozen = new Set<string>();
  readonly banned = new Set<string>();
  /** Nodes that have introduced themselves here. */
  readonly heard: string[] = [];

  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  context(): Pick<HelloContext, 'expects' | 'ownerOf' | 'judge'> {
    return {
      ownerOf: (networkKey) => this.ownerOf(networkKey),
      expects: (networkKey) => this.expects(networkKey),
      judge: (claim) => this.judge(claim),
    };
  }

  /** As a final block tells it. */
  learn(member: Member): void {
    this.#held.set(member.nodeId, [...member.entries]);
    this.#final.set(member.nodeId, [...member.entries]);
  }

  ownerOf(networkKey: Uint8Array): string | undefined {
    const owner = this.#members.find((member) =>
      [member.origin, ...(this.#final.get(member.nodeId) ?? []).map((one) => one.succession)].some(
        ({ keys }) => same(keys.networkKey, networkKey),
      ),
    );
    return owner?.nodeId;
  }

  expects(networkKey: Uint8Array): boolean {
    return this.#members.some((member) => this.accepts(member.nodeId, networkKey));
  }

  judge({ inception, succession, networkKey }: HelloClaim): HelloVerdict {
    const { nodeId } = inception;
    const { name } = inception.inception;
    this.heard.push(nodeId);
    const member = this.#members.find((one) => one.nodeId === nodeId);
    if (member === undefined || this.banned.has(nodeId)) {
      return { type: 'stranger', why: `node ${nodeId} is not a member of this cluster` };
    }
    const { entries, duplicity } = furthest(member.origin, this.#of(nodeId), succession);
    if (duplicity !== undefined) this.frozen.add(nodeId);
    this.#held.set(nodeId, entries);
    if (this.frozen.has(nodeId)) return { type: 'refused', refusal: 'FROZEN', nodeId, name };
    if (this.accepts(nodeId, networkKey)) return { type: 'member', nodeId, name };
    const had = this.#keys(member).some((key) => same(key, networkKey));
    return had
      ? { type: 'refused', refusal: 'RETIRED', nodeId, name }
      : { type: 'stranger', why: 'the key is none of its succession' };
  }

  /** H2 */
  accepts(nodeId: string, networkKey: Uint8Array): boolean {
    const member = this.#members.find((one) => one.nodeId === nodeId);
    if (member === undefined || this.frozen.has(nodeId) || this.banned.has(nodeId)) return false;
    const keys = this.#keys(member);
    if (same(keys.at(-1)!, networkKey)) return true;
    const last = this.#of(nodeId).findLast(({ succession }) =>
      succession.replaced.includes('network'),
    );
    const retired = keys.findLast((key) => !same(key, keys.at(-1)!));
    const hasGrace = (last?.succession.graceMs ?? 0) > 0;
    return hasGrace && retired !== undefined && same(retired, networkKey);
  }

  #of(nodeId: string): readonly Entry[] {
    return this.#held.get(nodeId) ?? [];
  }

  #keys(member: Member): Uint8Array[] {
    const later = this.#of(member.nodeId).map(({ succession }) => succession.keys.networkKey);
    return [member.origin.keys.networkKey, ...later];
  }
}
