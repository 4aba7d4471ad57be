/**
 * Session keys (X25519) of this node with their certificates: a day or two each, made while the
 * node runs. Losing one costs the messages under way, so a file that does not open is passed over.
 */
import { join } from 'node:path';
import { isAegisError } from '../errors.ts';
import {
  createSession,
  openSession,
  SESSION_BYTES_MAX,
  type Session,
  type SignedSession,
} from '../model/session.ts';
import type { Random, Signer } from '../ports.ts';
import { readSmallFile } from './disk.ts';
import { renderKeyFile, sealKey } from './key-file.ts';
import { sessionDir } from './layout.ts';
import { generateKey, hex } from './material.ts';
import { openKey } from './open-key.ts';
import { erase, namesIn, realDisk, sweepErased } from './steps.ts';
import type { Kdf, Unlocker } from './unlocker.ts';

interface Held extends SignedSession {
  readonly secret: Uint8Array;
}

interface Parts {
  /** Of the keystore. */
  readonly dir: string;
  /** J1: each has its own. */
  readonly cluster: string | undefined;
  readonly sealer: Unlocker;
  readonly kdf: () => Kdf;
  /** The own identity key of a key epoch. */
  readonly identityKey: (keyEpoch: number) => Uint8Array | undefined;
}

export class Sessions {
  readonly #dir: string;
  readonly #parts: Parts;
  #held: readonly Held[] = [];

  constructor(parts: Parts) {
    this.#dir = sessionDir(parts.dir, parts.cluster);
    this.#parts = parts;
  }

  async load(): Promise<void> {
    await sweepErased(this.#dir);
    for (const name of await namesIn(this.#dir)) {
      if (!/^\d{1,15}\.cbor$/.test(name)) continue;
      const held = await this.#read(Number.parseInt(name, 10));
      if (held !== undefined) this.#held = [held, ...this.#held];
    }
    this.#held = this.#held.toSorted((a, b) => b.session.number - a.session.number);
  }

  /**
   * Numbers are the seconds of their start, or one more than the last: they grow even when a home
   * has been restored, or all its session keys have expired.
   */
  async make(
    certified: Pick<Session, 'nodeId' | 'keyEpoch' | 'startsAt' | 'expiresAt'>,
    deps: { readonly signer: Signer; readonly random: Random; readonly now: number },
  ): Promise<SignedSession> {
    const { sealer, kdf } = this.#parts;
    const last = this.#held[0]?.session.number ?? 0;
    const number = Math.max(last + 1, Math.floor(certified.startsAt / 1000));
    const material = await generateKey('session', deps.random);
    const sessionKey = new Uint8Array(Buffer.from(material.public.key, 'hex'));
    const made = createSession({ ...certified, number, sessionKey }, deps.signer);
    const sealing = { createdAt: deps.now, kdf: kdf() };
    const file = sealKey(material, sealing, { unlocker: sealer, random: deps.random });
    const [keyFile, certificate] = this.#paths(number);
    await realDisk.makeDirectory(this.#dir);
    // The key first: a certificate says that there is one.
    await realDisk.write(keyFile, renderKeyFile(file));
    await realDisk.write(certificate, made.bytes);
    this.#held = [{ ...made, secret: material.secret }, ...this.#held];
    return made;
  }

  /** Newest first. */
  list(): readonly SignedSession[] {
    return this.#held.map(({ session, bytes }) => ({ session, bytes }));
  }

  /** A copy; the caller wipes it. */
  secretOf(sessionKey: Uint8Array): Uint8Array | undefined {
    const wanted = hex(sessionKey);
    return this.#held.find(({ session }) => hex(session.sessionKey) === wanted)?.secret.slice();
  }

  /** Erases what has expired. */
  async drop(now: number): Promise<void> {
    const over = this.#held.filter(({ session }) => session.expiresAt <= now);
    this.#held = this.#held.filter(({ session }) => session.expiresAt > now);
    for (const { secret, session } of over) {
      secret.fill(0);
      for (const path of this.#paths(session.number).toReversed()) await erase(path);
    }
  }

  close(): void {
    for (const { secret } of this.#held) secret.fill(0);
    this.#held = [];
  }

  #paths(number: number): readonly [keyFile: string, certificate: string] {
    return [join(this.#dir, `${number}.key.json`), join(this.#dir, `${number}.cbor`)];
  }

  /** Undefined for what is damaged, foreign or under a passphrase of before. */
  async #read(number: number): Promise<Held | undefined> {
    const [keyFile, certificate] = this.#paths(number);
    try {
      const { bytes } = await readSmallFile(certificate, SESSION_BYTES_MAX + 128);
      const opened = openSession(bytes, (_, keyEpoch) => this.#parts.identityKey(keyEpoch));
      const { secret, public: pub } = await openKey(keyFile, this.#parts.sealer);
      if (pub.key === hex(opened.session.sessionKey)) return { ...opened, secret };
      secret.fill(0);
    } catch (error) {
      if (!isAegisError(error)) throw error;
    }
    return undefined;
  }
}
