/**
 * Keys (X25519) with which this node reads sealed contents (docs/knowledge-base.md, W45): those of
 * the readers that it could open, and its own of before a rotation of the network key. They stay,
 * since what is sealed to them does. Which content needs which, others know.
 */
import { join } from 'node:path';
import { agreementKeyOf } from '../crypto/agree.ts';
import { isAegisError } from '../errors.ts';
import type { Random } from '../ports.ts';
import { renderKeyFile, sealKey } from './key-file.ts';
import { readingDir } from './layout.ts';
import { hex } from './material.ts';
import { openKey } from './open-key.ts';
import { namesIn, realDisk } from './steps.ts';
import type { Kdf, Unlocker } from './unlocker.ts';

interface Parts {
  /** Of the keystore. */
  readonly dir: string;
  readonly sealer: Unlocker;
  readonly kdf: () => Kdf;
}

export class ReadingKeys {
  readonly #dir: string;
  readonly #parts: Parts;
  /** Secrets by public keys (hexadecimal). */
  readonly #held = new Map<string, Uint8Array>();

  constructor(parts: Parts) {
    this.#dir = readingDir(parts.dir);
    this.#parts = parts;
  }

  /** What is damaged, or under a passphrase of before, is passed over: others may give it again. */
  async load(): Promise<void> {
    for (const name of await namesIn(this.#dir)) {
      if (!/^[0-9a-f]{64}\.key\.json$/.test(name)) continue;
      try {
        const { secret, public: pub } = await openKey(join(this.#dir, name), this.#parts.sealer);
        this.#held.set(pub.key, secret);
      } catch (error) {
        if (!isAegisError(error)) throw error;
      }
    }
  }

  /** Durable when it resolves. */
  async keep(
    secret: Uint8Array,
    deps: { readonly random: Random; readonly now: number },
  ): Promise<void> {
    const key = hex(agreementKeyOf(secret));
    if (this.#held.has(key)) return;
    const { sealer, kdf } = this.#parts;
    const material = { type: 'reading', secret: secret.slice(), public: { key } } as const;
    const options = { createdAt: deps.now, kdf: kdf() };
    const file = sealKey(material, options, { unlocker: sealer, random: deps.random });
    await realDisk.makeDirectory(this.#dir);
    await realDisk.write(join(this.#dir, `${key}.key.json`), renderKeyFile(file));
    this.#held.set(key, material.secret);
  }

  /** Copies. */
  secrets(): Uint8Array[] {
    return [...this.#held.values()].map((secret) => secret.slice());
  }

  close(): void {
    for (const secret of this.#held.values()) secret.fill(0);
    this.#held.clear();
  }
}
