/**
 * A Tor of our own (O8): one child process with a data directory of its own, reached through two
 * unix sockets that only this user can open. It keeps its guards and what it knows of the network,
 * comes back when it ends by itself, and ends with us, whatever ends us.
 *
 * The connection that makes it end with us is held here and used for nothing else: that of the
 * caller may break and be made anew.
 */
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../../assert.ts';
import { AegisError, hasCode, toAegisError } from '../../errors.ts';
import { writeFileAtomic } from '../../files.ts';
import type { Clock, Log, Random } from '../../ports.ts';
import { instant, MINUTE, SECOND } from '../../units.ts';
import { type ControlAuth, ControlClient } from '../control/client.ts';
import { SOCKET_PATH_BYTES_MAX, type TorEndpoint } from '../endpoint.ts';
import { TOR_LIMITS } from '../limits.ts';
import { checkSettings } from './asked.ts';
import { problemIn, whyEnded } from './diagnosis.ts';
import { findTor, isExecutable } from './find-tor.ts';
import { TorProcess } from './tor-process.ts';
import { pluginPrograms, type TorrcPlan, torrcText, valueOf } from './torrc.ts';

export interface OwnTorOptions {
  /** @default tor, where it usually is */
  readonly binary?: string;
  /** Kept: guards, the cached directory, the torrc of the last start. */
  readonly dataDir: string;
  /** Short: the sockets go into a directory in there. */
  readonly runDir: string;
  /** Whether it connects to anything but onion services (O5). */
  readonly exits: boolean;
  readonly bridges: readonly string[];
  readonly transports: readonly string[];
  /** A file with further lines, of the operator. */
  readonly torrc?: string;
}

export interface OwnTorDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Takes what tor writes, line by line with its newline; it rotates. */
  readonly output: { write(line: string): void };
}

export interface RunningTor {
  readonly control: TorEndpoint;
  readonly socks: TorEndpoint;
  readonly auth: ControlAuth;
  readonly pid: number;
  readonly version: string;
}

export type OwnTorState = 'stopped' | 'starting' | 'running' | 'waiting';

export interface OwnTorStatus {
  readonly state: OwnTorState;
  readonly pid?: number;
  readonly version?: string;
  /** How often it was started anew after it had ended by itself. */
  readonly restarts: number;
  /** Why it ended the last time, or what it complains of; until it is at 100 %. */
  readonly problem?: AegisError;
}

const POLL_MS = 25;
const COOKIE_BYTES = 32;
const BACKOFF_MS = { first: SECOND, most: 5 * MINUTE } as const;
/** One that ran so long did not end because of how it was started. */
const STEADY_MS = 10 * MINUTE;

export class OwnTor {
  readonly #options: OwnTorOptions;
  readonly #deps: OwnTorDeps;
  readonly #plan: TorrcPlan;
  readonly #onExit = new Set<(error: AegisError) => void>();
  #life = new AbortController();
  #state: OwnTorState = 'stopped';
  #process: TorProcess | undefined;
  #version: string | undefined;
  #problem: AegisError | undefined;
  #restarts = 0;
  /** Ends in a row, each soon after its start. */
  #failures = 0;
  #cancelWake = (): void => {};
  /** The last start or restart, whatever became of it. */
  #starting: Promise<unknown> = Promise.resolve();

  constructor(options: OwnTorOptions, deps: OwnTorDeps) {
    this.#options = options;
    this.#deps = { ...deps, log: deps.log.child('tor') };
    const dataDir = resolve(options.dataDir);
    const sockets = join(resolve(options.runDir), 'tor');
    this.#plan = {
      dataDir,
      controlSocket: join(sockets, 'control'),
      socksSocket: join(sockets, 'socks'),
      cookieFile: join(dataDir, 'control_auth_cookie'),
      exits: options.exits,
      bridges: options.bridges.map((line) => valueOf('Bridge', line)),
      transports: options.transports.map((line) => valueOf('ClientTransportPlugin', line)),
      extra: options.torrc === undefined ? undefined : resolve(options.torrc),
    };
  }

  get status(): OwnTorStatus {
    const [pid, version, problem] = [this.#process?.pid, this.#version, this.#problem];
    return {
      state: this.#state,
      ...(pid === undefined ? {} : { pid }),
      ...(version === undefined ? {} : { version }),
      restarts: this.#restarts,
      ...(problem === undefined ? {} : { problem }),
    };
  }

  /**
   * Resolves when its control socket lets us in. It may be far from any circuit then.
   *
   * @throws {AegisError} `TOR_FAILED`, `TOR_TOO_OLD`, `BAD_CONFIG`, `PORT_IN_USE`, `DENIED`,
   *   `SOCKET_PATH_TOO_LONG`, or the signal's reason; nothing runs then, or is tried again.
   */
  async start(signal?: AbortSignal): Promise<RunningTor> {
    assert(this.#state === 'stopped', 'a tor is started once');
    this.#life = new AbortController();
    this.#failures = 0;
    const ends = signal === undefined ? [] : [signal];
    const launching = this.#launch(AbortSignal.any([this.#life.signal, ...ends]));
    this.#starting = launching.catch(() => {});
    try {
      return await launching;
    } catch (error) {
      this.#state = 'stopped';
      throw error;
    }
  }

  /** Ends it, or the wait for its next start. Resolves when no process of it is left. */
  async stop(): Promise<void> {
    this.#life.abort(new AegisError('STOPPING', 'our own tor is being stopped'));
    this.#cancelWake();
    await this.#starting;
    const running = this.#process;
    this.#state = 'stopped';
    await running?.stop();
    this.#process = undefined;
  }

  /** Called when it ended by itself, with why; it is started anew by itself. */
  onExit(listener: (error: AegisError) => void): () => void {
    this.#onExit.add(listener);
    return () => void this.#onExit.delete(listener);
  }

  async #launch(signal: AbortSignal): Promise<RunningTor> {
    this.#state = 'starting';
    signal.throwIfAborted();
    const { path, version } = await findTor(this.#options.binary);
    this.#version = version;
    const torrcFile = await this.#prepare();
    const dir = this.#plan.dataDir;
    const onLine = (line: string): void => this.#takeLine(line);
    const tor = await TorProcess.spawn({ path, torrcFile, dir, owner: process.pid, onLine });
    this.#process = tor;
    const late = AbortSignal.timeout(TOR_LIMITS.ownStartMs);
    try {
      const control = await this.#connect(tor, AbortSignal.any([signal, late]));
      this.#watch(tor, control);
    } catch (error) {
      await tor.stop();
      this.#process = undefined;
      signal.throwIfAborted();
      if (!late.aborted) throw error;
      const seconds = TOR_LIMITS.ownStartMs / SECOND;
      const message = `our own tor has not opened its control socket in ${seconds} s`;
      throw new AegisError('TOR_FAILED', message, { details: { lastLines: tor.lastLines } });
    }
    this.#state = 'running';
    this.#deps.log.write('info', 'our own tor runs', { pid: tor.pid, version });
    const { controlSocket, socksSocket, cookieFile } = this.#plan;
    const endpoints = { control: { path: controlSocket }, socks: { path: socksSocket } };
    return { ...endpoints, auth: { cookieFile }, pid: tor.pid, version };
  }

  /** Directories that are ours alone, a torrc, and no cookie of before. */
  async #prepare(): Promise<string> {
    const { dataDir, controlSocket, cookieFile, transports } = this.#plan;
    const torrcFile = join(dataDir, 'torrc');
    const text = torrcText(this.#plan);
    checkSocketPath(controlSocket);
    for (const program of pluginPrograms(transports)) {
      if (await isExecutable(program)) continue;
      const message = `a plugin in tor.plugins is ${program}, which this user cannot start`;
      throw new AegisError('BAD_CONFIG', message, { hint: 'Install it, or correct its path.' });
    }
    try {
      for (const dir of [dataDir, resolve(controlSocket, '..')]) {
        await mkdir(dir, { recursive: true, mode: 0o700 });
        await chmod(dir, 0o700);
      }
      await rm(cookieFile, { force: true });
    } catch (error) {
      throw toAegisError(error);
    }
    await writeFileAtomic(torrcFile, text, { mode: 0o600 });
    return torrcFile;
  }

  /** Its control connection, on which its life hangs from now on. */
  async #connect(tor: TorProcess, signal: AbortSignal): Promise<ControlClient> {
    const ended = tor.ended.then((how) => Promise.reject(whyEnded(tor.lastLines, how)));
    const stop = new AbortController();
    const limit = AbortSignal.any([signal, stop.signal]);
    try {
      const control = await Promise.race([this.#open(limit), ended]);
      try {
        // O8: it ends as soon as this connection does, even if we are killed.
        await control.command('TAKEOWNERSHIP', { signal });
        await checkSettings(control, this.#plan, signal);
        return control;
      } catch (error) {
        control.close();
        throw error;
      }
    } finally {
      stop.abort();
    }
  }

  async #open(signal: AbortSignal): Promise<ControlClient> {
    const { controlSocket, cookieFile } = this.#plan;
    for (;;) {
      const cookie = await readFile(cookieFile).catch(() => undefined);
      if (cookie?.length === COOKIE_BYTES) {
        const options = { signal, timeoutMs: TOR_LIMITS.controlTimeoutMs };
        try {
          return await ControlClient.connect({ path: controlSocket }, { cookieFile }, options);
        } catch (error) {
          if (!hasCode(error, 'TOR_UNREACHABLE')) throw error;
        }
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  #watch(tor: TorProcess, control: ControlClient): void {
    const { clock } = this.#deps;
    const startedAt = clock.now();
    const onEnd = (how: string): void => {
      control.close();
      if (this.#process !== tor || this.#life.signal.aborted) return;
      this.#process = undefined;
      if (clock.now() - startedAt >= STEADY_MS) this.#failures = 0;
      this.#retry(whyEnded(tor.lastLines, how));
    };
    void tor.ended.then(onEnd);
  }

  #retry(error: AegisError): void {
    const { clock, random, log } = this.#deps;
    const { first, most } = BACKOFF_MS;
    const longest = Math.min(first * 2 ** this.#failures, most);
    const [half = 0] = random.bytes(1);
    const waitMs = Math.round(longest * (0.5 + half / 510));
    this.#failures += 1;
    this.#problem = error;
    this.#state = 'waiting';
    const fields = { code: error.code, waitMs, ...error.details };
    log.write('error', `${error.message}; it is started again`, fields);
    for (const listener of this.#onExit) listener(error);
    this.#cancelWake = clock.wakeAt(instant(clock.now() + waitMs), () => {
      this.#starting = this.#restart();
    });
  }

  async #restart(): Promise<void> {
    this.#restarts += 1;
    try {
      await this.#launch(this.#life.signal);
    } catch (error) {
      if (!this.#life.signal.aborted) this.#retry(toAegisError(error));
    }
  }

  #takeLine(line: string): void {
    this.#deps.output.write(`${line}\n`);
    if (line.includes('Bootstrapped 100%')) this.#problem = undefined;
    const problem = problemIn(line);
    if (problem === undefined) return;
    if (problem.message !== this.#problem?.message) {
      this.#deps.log.write('warn', problem.message, { code: problem.code, hint: problem.hint });
    }
    this.#problem = problem;
  }
}

/** Of the two sockets the path of that for control is the longer one. */
function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  const message = `the path of tor's control socket, ${path}, has ${bytes} bytes`;
  throw new AegisError('SOCKET_PATH_TOO_LONG', `${message}; ${SOCKET_PATH_BYTES_MAX} are possible`);
}
