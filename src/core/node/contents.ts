/**
 * The one place that opens a content by its root, sealed or plain, for whoever reads what is inside
 * (docs/knowledge-base.md, W42 to W45). It keeps the keys of the contents that were opened last, in
 * memory only. It fetches nothing by itself: what is missing is mended as `ObjectReader` does.
 */
import type { CID } from 'multiformats/cid';
import { CONTENT_KEY_BYTES, type LeafKeys, leafKeysOf } from '../crypto/sealed-leaf.ts';
import { AegisError } from '../errors.ts';
import { viewUnder } from '../kb/sealed-view.ts';
import { openAgeFile } from '../keys/age.ts';
import {
  isSealedRoot,
  KEY_OBJECT_BYTES_MAX,
  readSealedRoot,
  type SealedRoot,
} from '../model/sealed.ts';
import { Exporter, type ReadObjects } from './export.ts';
import type { ObjectReader } from './object-reader.ts';
import type { Sealing } from './sealing.ts';

/** Of this node. */
export interface ReadingKeys {
  /** The own secrets (X25519) for recipients that are among these. */
  among(to: readonly string[]): readonly Uint8Array[];
  /** What people call a recipient. */
  nameOf(recipient: string): string;
}

export interface OpenContent {
  /** Shows what is below the root as if it had never been sealed, from the root on. */
  readonly exporter: Exporter;
  /** How it is sealed, and what follows it in the same way; undefined: it is plain. */
  readonly sealing: Sealing | undefined;
}

export interface ContentsDeps {
  readonly reader: Pick<ObjectReader, 'below' | 'sound'>;
  readonly keys: ReadingKeys;
}

/** Contents whose keys are remembered. */
const REMEMBERED = 1024;

export class Contents {
  readonly #deps: ContentsDeps;
  /** By the CID of the key object, the one used last at the end. */
  readonly #known = new Map<string, LeafKeys>();

  constructor(deps: ContentsDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} `SEALED` when this node is no reader; `BAD_DATA`, `BAD_HASH`. */
  async open(root: CID, signal?: AbortSignal): Promise<OpenContent> {
    return await this.#open(root, this.#deps.reader.below(root, signal));
  }

  /** As `open`, if what it takes is here; nothing is fetched. */
  async openHere(root: CID): Promise<OpenContent | undefined> {
    const read = async (cids: readonly CID[]): Promise<Uint8Array[]> => {
      const found = await this.#deps.reader.sound(cids);
      if (found.includes(undefined)) throw new AegisError('NOT_FOUND', 'it is not here');
      return found as Uint8Array[];
    };
    const [top] = await this.#deps.reader.sound([root]);
    if (top === undefined) return undefined;
    if (isSealedRoot(root)) {
      const [key] = await this.#deps.reader.sound([readSealedRoot(top).key]);
      if (key === undefined) return undefined;
    }
    return await this.#open(root, read);
  }

  /** W46: the key of a content is no more. */
  forget(key: CID): void {
    this.#known.delete(key.toString());
  }

  /** What a sealed root says, if it is here. */
  async sealedRoot(root: CID): Promise<SealedRoot | undefined> {
    if (!isSealedRoot(root)) return undefined;
    const [bytes] = await this.#deps.reader.sound([root]);
    return bytes === undefined ? undefined : readSealedRoot(bytes);
  }

  async #open(root: CID, read: ReadObjects): Promise<OpenContent> {
    if (!isSealedRoot(root)) return { exporter: new Exporter({ read }), sealing: undefined };
    const [bytes] = await read([root]);
    const sealed = readSealedRoot(bytes!);
    const [file] = await read([sealed.key]);
    const keys = await this.#keysOf(sealed, file!);
    const { content, key, to } = sealed;
    const exporter = new Exporter({ read, sealed: { root, content, view: viewUnder(keys) } });
    return { exporter, sealing: { keys, key: { cid: key, bytes: file! }, to } };
  }

  async #keysOf({ key, to }: SealedRoot, file: Uint8Array): Promise<LeafKeys> {
    const name = key.toString();
    const known = this.#known.get(name);
    if (known !== undefined) return this.#remember(name, known);
    if (file.length > KEY_OBJECT_BYTES_MAX) {
      throw new AegisError('TOO_LARGE', `the key object ${name} has ${file.length} bytes`);
    }
    const secrets = this.#deps.keys.among(to);
    const secret = secrets.length === 0 ? undefined : await openAgeFile(file, secrets);
    if (secret === undefined) throw this.#sealed(to);
    if (secret.length !== CONTENT_KEY_BYTES) {
      throw new AegisError('BAD_DATA', `the key object ${name} holds no key`);
    }
    const keys = leafKeysOf(secret);
    secret.fill(0);
    return this.#remember(name, keys);
  }

  #remember(name: string, keys: LeafKeys): LeafKeys {
    this.#known.delete(name);
    this.#known.set(name, keys);
    const [oldest] = this.#known.keys();
    if (this.#known.size > REMEMBERED && oldest !== undefined) this.#known.delete(oldest);
    return keys;
  }

  #sealed(to: readonly string[]): AegisError {
    const names = to.map((one) => this.#deps.keys.nameOf(one));
    return new AegisError('SEALED', `the content is sealed to ${names.join(', ')}`, {
      details: { to },
    });
  }
}
