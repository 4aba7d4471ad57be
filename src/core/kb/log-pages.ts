/**
 * Which versions an author has at each sequence, in rows: pages of 16 places, in each the first
 * version that came; further ones of the same sequence have rows of their own. A place is empty
 * when its version was taken out again.
 */
import { CID } from 'multiformats/cid';
import { assert } from '../assert.ts';
import { type KbStore, TABLES } from './store.ts';
import { DIGEST_OF_CID_BYTES, versionCidOfDigest } from './version-store.ts';

export class LoggedVersion {
  readonly sequence: number;
  /** The hash in the CID. */
  readonly digest: Uint8Array;
  readonly keyEpoch: number;

  constructor(sequence: number, digest: Uint8Array, keyEpoch: number) {
    this.sequence = sequence;
    this.digest = digest;
    this.keyEpoch = keyEpoch;
  }

  get cidText(): string {
    return versionCidOfDigest(this.digest).toString();
  }
}

const PLACES = 16;
const PLACE_BYTES = DIGEST_OF_CID_BYTES + 4;

export class LogPages {
  readonly #store: KbStore;
  readonly #author: string;

  constructor(store: KbStore, author: string) {
    this.#store = store;
    this.#author = author;
  }

  /** The versions of one sequence, the first one first. */
  at(sequence: number): LoggedVersion[] {
    return sequence < 1 ? [] : [...this.between(sequence, sequence)];
  }

  /** Ascending. */
  *between(from: number, to: number): Generator<LoggedVersion> {
    if (from > to) return;
    const twins = this.#twins(from, to);
    let twin = twins.next();
    for (let page = pageOf(from); page <= pageOf(to); page += 1) {
      const bytes = this.#page(page);
      const [first, last] = [page * PLACES + 1, (page + 1) * PLACES];
      for (let at = Math.max(first, from); at <= Math.min(last, to); at += 1) {
        const logged = bytes && read(bytes, at);
        if (logged !== undefined) yield logged;
        for (; !twin.done && twin.value.sequence === at; twin = twins.next()) yield twin.value;
      }
    }
  }

  /** @returns the first one of its sequence, if there was one. */
  add(sequence: number, logged: LoggedVersion): LoggedVersion | undefined {
    const page = this.#page(pageOf(sequence));
    const first = page && read(page, sequence);
    if (first === undefined) this.#write(sequence, logged);
    else {
      const epoch = Buffer.alloc(4);
      epoch.writeUInt32BE(logged.keyEpoch);
      this.#store.set(TABLES.twins, this.#twinKey(sequence, logged.cidText), epoch);
    }
    return first;
  }

  remove(sequence: number, { cidText }: LoggedVersion): void {
    const [first, second] = this.at(sequence);
    assert(first !== undefined, 'what is taken out is there');
    if (first.cidText !== cidText) {
      this.#store.set(TABLES.twins, this.#twinKey(sequence, cidText), undefined);
      return;
    }
    this.#write(sequence, second);
    if (second === undefined) return;
    this.#store.set(TABLES.twins, this.#twinKey(sequence, second.cidText), undefined);
  }

  *#twins(from: number, to: number): Generator<LoggedVersion> {
    const start = this.#twinKey(from, '');
    const prefix = `${this.#author}/`;
    const end = this.#twinKey(to + 1, '');
    for (const { key, value } of this.#store.under(TABLES.twins, prefix, start)) {
      if (key >= end) return;
      const [, hex, cidText] = key.split('/') as [string, string, string];
      const { digest } = CID.parse(cidText).multihash;
      const keyEpoch = Buffer.from(value).readUInt32BE();
      yield new LoggedVersion(Number.parseInt(hex, 16), digest, keyEpoch);
    }
  }

  #page(page: number): Uint8Array | undefined {
    return this.#store.get(TABLES.log, `${this.#author}/${hexOf(page)}`);
  }

  #write(sequence: number, logged: LoggedVersion | undefined): void {
    const page = pageOf(sequence);
    const at = ((sequence - 1) % PLACES) * PLACE_BYTES;
    const before = this.#page(page) ?? new Uint8Array();
    const bytes = Buffer.alloc(Math.max(before.length, at + PLACE_BYTES));
    bytes.set(before);
    bytes.fill(0, at, at + PLACE_BYTES);
    if (logged !== undefined) {
      bytes.set(logged.digest, at);
      bytes.writeUInt32BE(logged.keyEpoch, at + DIGEST_OF_CID_BYTES);
    }
    this.#store.set(TABLES.log, `${this.#author}/${hexOf(page)}`, bytes);
  }

  #twinKey(sequence: number, cidText: string): string {
    return `${this.#author}/${hexOf(sequence)}/${cidText}`;
  }
}

const pageOf = (sequence: number): number => Math.floor((sequence - 1) / PLACES);

/** Numbers in the order of their text. */
const hexOf = (number: number): string => number.toString(16).padStart(14, '0');

function read(page: Uint8Array, sequence: number): LoggedVersion | undefined {
  const at = ((sequence - 1) % PLACES) * PLACE_BYTES;
  const digest = page.subarray(at, at + DIGEST_OF_CID_BYTES);
  // A page ends with its last place.
  if (digest.every((byte) => byte === 0)) return undefined;
  const rest = Buffer.from(page.buffer, page.byteOffset + at + DIGEST_OF_CID_BYTES, 4);
  return new LoggedVersion(sequence, digest, rest.readUInt32BE());
}
