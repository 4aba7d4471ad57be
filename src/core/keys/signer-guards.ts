/**
 * The guards of a keystore, one for each key and cluster, and the mark in the keystore that says
 * which there must be. A key that has signed and whose guard is gone is locked until an operator
 * accepts the loss (`--accept-lost-guard`).
 */
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { SignedPlace } from '../consensus/signed-bytes.ts';
import { AegisError } from '../errors.ts';
import { hex } from './material.ts';
import { Guard, type GuardVerdict, ID_KEY_BYTES } from './signer-guard.ts';

/**
 * Clusters in which one key signs: a node that asks for ever new ones must not fill the disk. By
 * key, so that one that was broken into cannot lock the key that replaces it.
 */
export const GUARDS_MAX = 16;
/** Enough for all keys of the longest succession. */
const MARK_BYTES_MAX = 4 * 1024 * 1024;
const MARK_SCHEMA = 'aegis.guarded/1';

export interface GuardsOptions {
  /** Where the guards are. */
  readonly dir: string;
  /** The mark in the keystore: which guards there must be. */
  readonly mark: string;
  /** Public keys (hexadecimal) that came with a restored keystore: what they signed is unknown. */
  readonly restored?: readonly string[];
  /** An operator says that no other signature can exist. @default false */
  readonly acceptLost?: boolean;
}

export class Guards {
  readonly #options: GuardsOptions;
  readonly #marked: Set<string>;
  readonly #open = new Map<string, Guard>();

  /** @throws {AegisError} `KEYSTORE_DAMAGED` when the mark is damaged. */
  constructor(options: GuardsOptions) {
    this.#options = options;
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    this.#marked = new Set(readMark(options.mark));
  }

  /** `locked`: what was signed with this key is not known, or its guard cannot be written. */
  claim(
    key: Uint8Array,
    place: SignedPlace,
    message: Uint8Array,
  ): GuardVerdict | 'locked' | 'too-many' {
    const id = Guard.idOf(key, place.clusterId);
    const name = id.toString('hex');
    const guard = this.#open.get(name) ?? this.#find(name, id, key);
    if (typeof guard === 'string') return guard;
    if (guard.isBroken) return 'locked';
    const verdict = guard.claim(place, message);
    // The guard is there before the mark that demands it; the signature is after both.
    if (!this.#marked.has(name)) this.#demand(name);
    return verdict;
  }

  close(): void {
    for (const guard of this.#open.values()) guard.close();
    this.#open.clear();
  }

  #find(name: string, id: Buffer, key: Uint8Array): Guard | 'locked' | 'too-many' {
    const path = join(this.#options.dir, `${name}.guard`);
    const { restored = [], acceptLost = false } = this.#options;
    const found = Guard.open(path, id);
    const hasSigned = this.#marked.has(name) || isThere(path);
    // K2: whoever has the backup may have signed with the key since.
    const isLost = restored.includes(hex(key)) || (found === undefined && hasSigned);
    if (isLost && !acceptLost) {
      found?.close();
      return 'locked';
    }
    if (!hasSigned && this.#countOf(name) >= GUARDS_MAX) return 'too-many';
    const guard = found ?? Guard.create(path, id);
    this.#open.set(name, guard);
    return guard;
  }

  /** Guards of the same key. */
  #countOf(name: string): number {
    const ofKey = name.slice(0, 2 * ID_KEY_BYTES);
    return [...this.#marked].filter((other) => other.startsWith(ofKey)).length;
  }

  #demand(name: string): void {
    const names = [...this.#marked, name];
    writeMark(this.#options.mark, names);
    this.#marked.add(name);
  }
}

function isThere(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW));
    return true;
  } catch {
    return false;
  }
}

function readMark(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    const { schema, guards } = JSON.parse(text.slice(0, MARK_BYTES_MAX)) as Record<string, unknown>;
    const isList = Array.isArray(guards) && guards.every((name) => /^[0-9a-f]{64}$/.test(name));
    if (schema === MARK_SCHEMA && isList) return guards as string[];
  } catch {
    // Told below.
  }
  throw new AegisError('KEYSTORE_DAMAGED', `the list of what has signed is damaged (${path})`, {
    hint: 'Move it away only if you know that nothing else signs with these keys.',
  });
}

/** Synchronous, as all that stands before a signature. */
function writeMark(path: string, guards: readonly string[]): void {
  const temporary = `${path}.new`;
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_RDONLY, O_DIRECTORY } = constants;
  const file = openSync(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  writeSync(file, `${JSON.stringify({ schema: MARK_SCHEMA, guards })}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
  const directory = openSync(dirname(path), O_RDONLY | O_DIRECTORY);
  fsyncSync(directory);
  closeSync(directory);
}
