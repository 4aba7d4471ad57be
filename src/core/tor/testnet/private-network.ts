/**
 * A whole Tor network on this machine: one directory authority, which is a relay too, and four
 * exits, all of them real tor processes on loopback. For tests and for devnets behind Tor; it hides
 * nothing from anybody. Clients are not its business: they get a torrc.
 *
 * Every process is written down with the time of its start, so that whoever comes later ends
 * exactly those.
 */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AegisError, hasCode } from '../../errors.ts';
import { statIfPresent } from '../../files.ts';
import { isAlive } from '../../processes.ts';
import { makeAuthority } from './authority.ts';
import { gatherDescriptors, spread, vote } from './boot.ts';
import { lastLines, Member } from './member.ts';
import {
  endAll,
  isCertain,
  isStale,
  type NetworkRecord,
  nameOf,
  newRecord,
  readRecord,
  writeRecord,
} from './records.ts';
import { clientTorrc, type MemberPlan } from './torrcs.ts';

export interface PrivateNetworkOptions {
  /** Made anew, or what is left there of a network that no longer runs is removed. */
  readonly dir: string;
  /** Besides the authority. @default 4 */
  readonly relays?: number;
  /** The pid that all processes end with; undefined: they outlive us. */
  readonly owner: number | undefined;
  /** @default tor, from the PATH */
  readonly binary?: string;
  /** Of one try; there are two. @default 60_000 */
  readonly timeoutMs?: number;
}

const TRIES = 2;

export class PrivateNetwork {
  readonly dir: string;
  #record: NetworkRecord;

  private constructor(dir: string, record: NetworkRecord) {
    this.dir = dir;
    this.#record = record;
  }

  /** For the setting `tor.torrc`. */
  get torrc(): string {
    return PrivateNetwork.torrcOf(this.dir);
  }

  /**
   * Resolves when all relays know each other; takes 10 to 15 s.
   *
   * @throws {AegisError} `EXISTS` when one runs there, `TOR_FAILED` with the last words of tor;
   * then, and when `signal` ends it, nothing is left of it.
   */
  static async start(
    options: PrivateNetworkOptions,
    signal?: AbortSignal,
  ): Promise<PrivateNetwork> {
    const dir = resolve(options.dir);
    for (let tries = 1; ; tries += 1) {
      const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
      const ends = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
      await makeRoom(dir);
      const network = new PrivateNetwork(dir, newRecord(options.owner));
      try {
        await network.#boot(options, ends);
        return network;
      } catch (error) {
        const lines = network.#lastLines();
        await network.stop();
        if (signal?.aborted) throw signal.reason;
        // Somebody was quicker to take a port that was free, or the machine stood still.
        const mayGo = timeout.aborted || hasCode(error, 'PORT_IN_USE');
        if (mayGo && tries < TRIES) continue;
        throw startFailed(error, timeout, lines);
      }
    }
  }

  /** The file with the lines that every client needs, as soon as a network in `dir` is ready. */
  static torrcOf(dir: string): string {
    return join(dir, 'torrc');
  }

  /** @throws {AegisError} `NOT_FOUND` when there is none. */
  static open(dir: string): PrivateNetwork {
    const record = readRecord(resolve(dir));
    if (record === undefined) {
      throw new AegisError('NOT_FOUND', `there is no private Tor network in ${dir}`);
    }
    return new PrivateNetwork(resolve(dir), record);
  }

  /**
   * Ends and removes the networks below `parent` whose owners have ended without doing so.
   *
   * @returns their directories.
   */
  static async sweep(parent: string): Promise<string[]> {
    const names = await readdir(parent).catch(() => []);
    const swept = [];
    for (const dir of names.map((name) => join(parent, name))) {
      const record = readRecord(dir);
      if (record === undefined || !isCertain(record) || !isStale(record)) continue;
      await new PrivateNetwork(dir, record).stop();
      swept.push(dir);
    }
    return swept;
  }

  /** Whether all of it runs; a network of which one member is gone is made anew. */
  isRunning(): boolean {
    const { isReady, members } = this.#record;
    return isReady && members.every((member) => isAlive(nameOf(member)));
  }

  /** Ends its processes and removes its directory. */
  async stop(): Promise<void> {
    await endAll(this.#record.members);
    await rm(this.dir, { recursive: true, force: true });
  }

  async #boot(options: PrivateNetworkOptions, signal: AbortSignal): Promise<void> {
    await writeRecord(this.dir, this.#record);
    const plans = await plansOf(this.dir, options.relays ?? 4);
    const [first, ...others] = plans;
    const lines = await makeAuthority(first!, signal);
    const { binary = 'tor' } = options;
    const owner = this.#record.owner.pid;
    const members: Member[] = [];
    const start = async (some: readonly MemberPlan[]): Promise<void> => {
      const parts = { authority: lines, owner, binary };
      for (const plan of some) {
        members.push(await Member.spawn(plan, parts));
        await this.#write({ members: members.map(({ record }) => record) });
      }
      const started = members.slice(-some.length);
      await Promise.all(started.map((member) => member.open(signal)));
    };
    try {
      await start([first!]);
      await start(others);
      const [authority, ...relays] = members;
      await gatherDescriptors(authority!, members, signal);
      await vote(authority!, members, signal);
      await spread(relays, members.length, signal);
      if (this.#record.outlives) await Promise.all(members.map((one) => one.release(lines)));
      await writeFile(this.torrc, clientTorrc(lines), { mode: 0o600 });
      await this.#write({ isReady: true });
    } finally {
      for (const member of members) member.close();
    }
  }

  async #write(change: Partial<NetworkRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await writeRecord(this.dir, this.#record);
  }

  #lastLines(): string[] {
    return this.#record.members.flatMap(({ name }) =>
      lastLines(join(this.dir, name)).map((line) => `${name}: ${line}`),
    );
  }
}

async function makeRoom(dir: string): Promise<void> {
  const record = readRecord(dir);
  if (record !== undefined) {
    const before = PrivateNetwork.open(dir);
    if (before.isRunning() && !isStale(record)) {
      throw new AegisError('EXISTS', `a private Tor network runs in ${dir} already`);
    }
    await before.stop();
  } else if ((await statIfPresent(dir)) !== undefined && (await readdir(dir)).length > 0) {
    throw new AegisError('EXISTS', `${dir} has files that are no private Tor network`);
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
}

async function plansOf(dir: string, relays: number): Promise<MemberPlan[]> {
  const names = Array.from({ length: relays }, (_, index) => `relay${index + 1}`);
  const plans = ['authority', ...names].map((name, index) => {
    const role = index === 0 ? ('authority' as const) : ('relay' as const);
    return { name, role, dir: join(dir, name) };
  });
  for (const plan of plans) await mkdir(plan.dir, { mode: 0o700 });
  return plans;
}

function startFailed(error: unknown, timeout: AbortSignal, lines: string[]): AegisError {
  const why = timeout.aborted ? 'it took too long' : (error as Error).message;
  const message = `the private Tor network did not start: ${why}`;
  const hint = error instanceof AegisError ? error.hint : undefined;
  return new AegisError('TOR_FAILED', message, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
    details: { lastLines: lines },
  });
}
