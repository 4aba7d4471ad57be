/**
 * G3: what a signer makes of the entries that a node shows. They carry the authority of the
 * successor (S2); that they are final is the node's word alone. So the last one that retires keys
 * which the signer holds stays pending: its new keys sign beside those in force, and nothing is
 * erased until an entry after it is shown, the operator says so, or seven days have passed.
 */
import { join } from 'node:path';
import { AegisError, hasCode } from '../errors.ts';
import { followAll, openSuccession, type SignedSuccession } from '../model/succession.ts';
import type { Log } from '../ports.ts';
import type { Verified } from '../units.ts';
import { readSmallFile } from './disk.ts';
import type { Keystore } from './keystore.ts';
import { entryPath, pendingDir } from './layout.ts';
import { realDisk } from './steps.ts';

/** Long enough for an operator to see in the log what a broken-in node has shown. */
export const RETIRED_KEPT_MS = 7 * 24 * 3600 * 1000;

type Entry = Verified<SignedSuccession>;

export interface SignerFollowDeps {
  /** Where the keystore is. */
  readonly dir: string;
  readonly keystore: Keystore;
  readonly log: Log;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

interface Shown {
  /** Of the entry; a mark of another one means nothing. */
  readonly digest: string;
  readonly atMs: number;
}

export class SignerFollow {
  readonly #deps: SignerFollowDeps;
  #shown: Shown | undefined;

  private constructor(deps: SignerFollowDeps, shown: Shown | undefined) {
    this.#deps = deps;
    this.#shown = shown;
  }

  static async open(deps: SignerFollowDeps): Promise<SignerFollow> {
    return new SignerFollow(deps, await readShown(deps.dir));
  }

  /** Entries that the signer knows, with the one that was shown and is pending. */
  get number(): number {
    const { number } = this.#deps.keystore.current;
    return this.#isShown() ? number + 1 : number;
  }

  /** @throws {AegisError} `BAD_DATA` when they do not follow; nothing has changed then. */
  async follow(entries: readonly Uint8Array[]): Promise<void> {
    const { current } = this.#deps.keystore;
    const pending = this.#pending();
    const told = entries.map((bytes) => openSuccession(bytes));
    let next = told.filter(({ succession }) => succession.number > current.number);
    const first = next[0]?.succession.number;
    if (first === undefined) return;
    // A node shows what comes after the entries that the signer says it knows.
    if (pending !== undefined && first === pending.succession.number + 1) next = [pending, ...next];
    followAll(current, next);
    const last = next.at(-1)!;
    const isRival = pending !== undefined && next[0]!.digest !== pending.digest;
    if (isRival && (this.#isShown() || (next.length === 1 && retiresHeld(last)))) {
      throw new AegisError('BAD_DATA', 'another entry is prepared here in the same place');
    }
    const after = retiresHeld(last) ? next.slice(0, -1) : next;
    if (after.length > 0) await this.#settle(after);
    if (retiresHeld(last)) await this.#show(last);
  }

  /** Erases what a shown entry retires, seven days after, or because an operator says so. */
  async eraseRetired({ isOrdered }: { readonly isOrdered: boolean }): Promise<boolean> {
    const pending = this.#pending();
    if (pending === undefined || !this.#isShown()) return false;
    const isDue = this.#deps.now() - this.#shown!.atMs >= RETIRED_KEPT_MS;
    if (!isOrdered && !isDue) return false;
    await this.#settle([pending]);
    return true;
  }

  #pending(): Entry | undefined {
    return this.#deps.keystore.pending()?.entry;
  }

  #isShown(): boolean {
    return this.#shown !== undefined && this.#shown.digest === this.#pending()?.digest;
  }

  /** A4 */
  async #settle(entries: readonly Entry[]): Promise<void> {
    const { keystore, log, now } = this.#deps;
    const state = followAll(keystore.current, entries);
    const succession = [...keystore.succession, ...entries.map(({ bytes }) => bytes)];
    const { promoted, retired } = await keystore.settle(state, { succession, now: now() });
    log.write('info', 'the keys follow the succession', {
      number: state.number,
      promoted,
      retired,
    });
  }

  /** In force beside what it replaces; both sign, each behind its own guard. */
  async #show(entry: Entry): Promise<void> {
    const { dir, keystore, log, now } = this.#deps;
    if (this.#isShown()) return;
    if (this.#pending() === undefined) {
      await realDisk.makeDirectory(pendingDir(dir));
      await realDisk.write(entryPath(dir), entry.bytes);
      await keystore.adoptPending();
    }
    const shown = { digest: entry.digest, atMs: now() };
    await realDisk.write(shownPath(dir), `${shown.digest} ${shown.atMs}\n`);
    // Others know it: another one in its place would be duplicity (S8).
    await keystore.markHandedIn();
    this.#shown = shown;
    log.write('warn', 'a node shows a rotation as final: what it retires is kept for now', {
      number: entry.succession.number,
      replaced: entry.succession.replaced,
      until: new Date(shown.atMs + RETIRED_KEPT_MS).toISOString(),
    });
  }
}

/** Whether keys that a signer holds come out of force. */
const retiresHeld = ({ succession: { replaced } }: Entry): boolean =>
  replaced.includes('identity') || replaced.includes('consensus');

const shownPath = (dir: string): string => join(pendingDir(dir), 'shown');

/** A mark that cannot be read is none: then what is retired is kept for longer. */
async function readShown(dir: string): Promise<Shown | undefined> {
  try {
    const { bytes } = await readSmallFile(shownPath(dir), 128);
    const match = /^([0-9a-f]{64}) (\d{1,15})\n$/.exec(Buffer.from(bytes).toString('latin1'));
    return match === null ? undefined : { digest: match[1]!, atMs: Number(match[2]) };
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND', 'TOO_LARGE')) return undefined;
    throw error;
  }
}
