/**
 * What an engine has for sealed contents (docs/knowledge-base.md, "Confidential"), put together: the
 * keys with which it reads, the door through which contents are opened, and who destroys keys.
 */
import type { Roster } from '../chain/roster.ts';
import type { Replication } from '../kb/replication.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Genesis } from '../model/genesis.ts';
import type { Log } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import { Contents } from './contents.ts';
import type { ObjectReader } from './object-reader.ts';
import { OwnReadingKeys } from './reading-keys.ts';
import { Shredder, type ShredderDeps } from './shredder.ts';

export interface ConfidentialDeps extends Pick<ShredderDeps, 'decided'> {
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  readonly roster: Roster;
  readonly reader: ObjectReader;
  readonly machine: Replication;
  readonly content: ContentStore;
  readonly log: Log;
}

export class Confidential {
  readonly keys: OwnReadingKeys;
  readonly contents: Contents;
  readonly #shredder: Shredder;

  constructor({ genesis, keystore, roster, reader, ...deps }: ConfidentialDeps) {
    const networkSeed = () => keystore.networkSeed();
    this.keys = new OwnReadingKeys({ nameKey: genesis.names.key, roster, networkSeed });
    this.contents = new Contents({ reader, keys: this.keys });
    this.#shredder = new Shredder({ ...deps, contents: this.contents });
  }

  start(): void {
    this.#shredder.start();
  }

  /** Something of these paths has become final. */
  final(paths: readonly string[]): void {
    for (const path of paths) this.#shredder.touched(path);
  }
}
