/**
 * The state as it is within a block: what the intents so far have changed, above the state before.
 * Leaves are encoded once, at the end, however often the block changes them. It judges nothing.
 */
import { decode } from '../model/cbor.ts';
import { type Names, TAG_DIGITS } from '../model/names.ts';
import type { StateReader } from '../ports.ts';
import { LIMITS } from './limits.ts';
import { NO_USAGE, type Usage } from './quotas.ts';
import {
  type Account,
  type AnchorState,
  accountKey,
  anchorKey,
  anchorTag,
  decodeAccount,
  decodeAnchor,
  decodeRef,
  encodeAccount,
  encodeAnchor,
  encodeMark,
  encodeRef,
  type RefState,
} from './ref.ts';
import type { StateChange } from './state-tree.ts';

interface Entry<T> {
  readonly key: string;
  value: T;
  isChanged: boolean;
}

interface MarkEntry extends Entry<boolean> {
  readonly dir: string;
}

interface AnchorEntry extends Entry<AnchorState | undefined> {
  readonly nodeId: string;
  readonly label: string;
}

export class Overlay {
  readonly #names: Names;
  readonly #below: StateReader;
  readonly #refs = new Map<string, Entry<RefState | undefined>>();
  readonly #marks = new Map<string, MarkEntry>();
  /** Refs and marks by the tag of the directory in which they lie. */
  readonly #within = new Map<string, Entry<RefState | boolean | undefined>[]>();
  readonly #accounts = new Map<string, Entry<Account>>();
  /** By key. */
  readonly #anchors = new Map<string, AnchorEntry>();
  /** By node: labels of anchors. */
  readonly #labels = new Map<string, number>();

  constructor(names: Names, below: StateReader) {
    this.#names = names;
    this.#below = below;
  }

  ref(path: string): RefState | undefined {
    return this.#refEntry(path).value;
  }

  /** The marks of the directories around it come and go with its name (docs/proofs.md). */
  setRef(path: string, ref: RefState): void {
    const entry = this.#refEntry(path);
    const wasNamed = entry.value?.name !== undefined;
    entry.value = ref;
    entry.isChanged = true;
    if (wasNamed === (ref.name !== undefined)) return;
    if (wasNamed) this.#unmark(path);
    else this.#mark(path);
  }

  account(author: string): Account {
    return this.#account(author).value;
  }

  /** @returns false when `sequence` is not the next of the author. */
  advance(author: string, sequence: number): boolean {
    const entry = this.#account(author);
    if (sequence !== entry.value.sequence + 1) return false;
    entry.value = { ...entry.value, sequence };
    entry.isChanged = true;
    return true;
  }

  setUsage(author: string, usage: Usage): void {
    const entry = this.#account(author);
    entry.value = { ...usage, sequence: entry.value.sequence };
    entry.isChanged = true;
  }

  anchor(nodeId: string, label: string): AnchorState | undefined {
    return this.#anchorEntry(nodeId, label).value;
  }

  setAnchor(nodeId: string, anchor: AnchorState): void {
    const entry = this.#anchorEntry(nodeId, anchor.label);
    if (entry.value === undefined) this.#labels.set(nodeId, this.labelsOf(nodeId) + 1);
    entry.value = anchor;
    entry.isChanged = true;
  }

  /** How many labels of anchors a node has. */
  labelsOf(nodeId: string): number {
    const known = this.#labels.get(nodeId);
    if (known !== undefined) return known;
    const max = LIMITS.anchorLabels;
    const count = this.#below.under(anchorTag(this.#names, nodeId), max)?.length ?? max;
    this.#labels.set(nodeId, count);
    return count;
  }

  /** Of which the refs have changed. */
  get paths(): string[] {
    return [...this.#refs].filter(([, { isChanged }]) => isChanged).map(([path]) => path);
  }

  /** That were made. */
  get anchors(): { readonly nodeId: string; readonly label: string }[] {
    return [...this.#anchors.values()]
      .filter(({ isChanged }) => isChanged)
      .map(({ nodeId, label }) => ({ nodeId, label }));
  }

  changes(): StateChange[] {
    const changes: StateChange[] = [];
    for (const { key, value, isChanged } of this.#refs.values()) {
      if (isChanged && value !== undefined) changes.push({ key, value: encodeRef(value) });
    }
    for (const { key, value, isChanged } of this.#accounts.values()) {
      if (isChanged) changes.push({ key, value: encodeAccount(value) });
    }
    for (const { key, value, isChanged } of this.#anchors.values()) {
      if (isChanged && value !== undefined) changes.push({ key, value: encodeAnchor(value) });
    }
    for (const { key, dir, value, isChanged } of this.#marks.values()) {
      if (!isChanged) continue;
      changes.push({ key, value: value ? encodeMark(this.#names.seal(dir)) : undefined });
    }
    return changes;
  }

  /** Where a directory is marked, those around it are. */
  #mark(path: string): void {
    for (const dir of this.#names.directories(path)) {
      const entry = this.#markEntry(dir);
      if (entry.value) return;
      entry.value = true;
      entry.isChanged = true;
    }
  }

  /** N4: a directory in which nothing has a name any more loses its own. */
  #unmark(path: string): void {
    for (const dir of this.#names.directories(path)) {
      const entry = this.#markEntry(dir);
      if (!entry.value || this.#hasNames(dir)) return;
      entry.value = false;
      entry.isChanged = true;
    }
  }

  /** Of a large directory it is not looked up: then its name stays. */
  #hasNames(dir: string): boolean {
    const tag = this.#names.tagOf(dir);
    const here = this.#within.get(tag) ?? [];
    if (here.some(isNamed)) return true;
    const rows = this.#below.under(tag, LIMITS.erasedLeaves);
    if (rows === undefined) return true;
    const known = new Set(here.map(({ key }) => key));
    return rows.some(({ key, value }) => !known.has(key) && hasName(value));
  }

  #keepWithin(entry: Entry<RefState | boolean | undefined>): void {
    const tag = entry.key.slice(0, TAG_DIGITS);
    const here = this.#within.get(tag);
    if (here === undefined) this.#within.set(tag, [entry]);
    else here.push(entry);
  }

  #refEntry(path: string): Entry<RefState | undefined> {
    const known = this.#refs.get(path);
    if (known !== undefined) return known;
    const key = this.#names.refKey(path);
    const bytes = this.#below.get(key);
    const value = bytes === undefined ? undefined : decodeRef(bytes);
    const entry = { key, value, isChanged: false };
    this.#refs.set(path, entry);
    this.#keepWithin(entry);
    return entry;
  }

  #markEntry(dir: string): MarkEntry {
    const known = this.#marks.get(dir);
    if (known !== undefined) return known;
    const key = this.#names.markKey(dir);
    const value = this.#below.get(key) !== undefined;
    const entry = { key, dir, value, isChanged: false };
    this.#marks.set(dir, entry);
    this.#keepWithin(entry);
    return entry;
  }

  #account(author: string): Entry<Account> {
    const known = this.#accounts.get(author);
    if (known !== undefined) return known;
    const key = accountKey(this.#names, author);
    const entry = { key, value: accountOf(this.#below.get(key)), isChanged: false };
    this.#accounts.set(author, entry);
    return entry;
  }

  #anchorEntry(nodeId: string, label: string): AnchorEntry {
    const key = anchorKey(this.#names, nodeId, label);
    const known = this.#anchors.get(key);
    if (known !== undefined) return known;
    const bytes = this.#below.get(key);
    const value = bytes === undefined ? undefined : decodeAnchor(bytes);
    const entry = { key, nodeId, label, value, isChanged: false };
    this.#anchors.set(key, entry);
    return entry;
  }
}

const isNamed = ({ value }: Entry<RefState | boolean | undefined>): boolean =>
  typeof value === 'object' ? value.name !== undefined : value === true;

/** Of a ref or a mark. */
const hasName = (bytes: Uint8Array): boolean =>
  Object.hasOwn(decode(bytes, { maxBytes: LIMITS.leafBytes }) as object, 'name');

const accountOf = (bytes: Uint8Array | undefined): Account =>
  bytes === undefined ? { sequence: 0, ...NO_USAGE } : decodeAccount(bytes);

/** Where a path points in a state. */
export function readRef(state: StateReader, names: Names, path: string): RefState | undefined {
  const bytes = state.get(names.refKey(path));
  return bytes === undefined ? undefined : decodeRef(bytes);
}

/** What a state knows of an author. */
export const readAccount = (state: StateReader, names: Names, author: string): Account =>
  accountOf(state.get(accountKey(names, author)));
