/** A cluster of real daemons for tests, and the real `aegis` as a process against it. */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { untilAnswered } from '../../../src/cli/until-answered.ts';
import { Client } from '../../../src/core/api/client/client.ts';
import { type HomePaths, resolveHome } from '../../../src/core/config/home.ts';
import { Devnet, type DevnetNode } from '../../../src/core/node/devnet.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';

export const BIN = resolve('bin/aegis.js');

export interface Run {
  readonly exit: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: Uint8Array;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly onSpawn?: (child: ChildProcess) => void;
}

export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly done: Promise<Run>;
}

/** Starts `aegis`; its standard input stays open. */
export function spawnAegis(args: readonly string[], options: RunOptions = {}): Running {
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => {});
  const done = new Promise<Run>((end, fail) => {
    child.once('error', fail);
    child.once('close', (exit) => {
      end({ exit, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString() });
    });
  });
  return { child, done };
}

/** Runs `aegis` and waits for its end. */
export function aegis(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const { child, done } = spawnAegis(args, options);
  options.onSpawn?.(child);
  child.stdin.end(options.input);
  return done;
}

/** The same with `--json`; fails unless the command exits with 0. */
export async function aegisJson<T = Record<string, unknown>>(
  args: readonly string[],
  options: RunOptions = {},
): Promise<T> {
  const run = await aegis([...args, '--json'], options);
  if (run.exit !== 0) {
    throw new Error(
      `aegis ${args.join(' ')}: exit ${run.exit}: ${String(run.stdout)} ${run.stderr}`,
    );
  }
  return JSON.parse(run.stdout.toString()) as T;
}

/** How long tests wait for what must come; behind Tor they say how much more. */
const PATIENCE_MS = 30_000;

/** Asks again until the answer is right; the question must become right without our doing. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  right: (value: T) => boolean,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const begun = performance.now();
    const value = await ask();
    if (right(value)) return value;
    const now = performance.now();
    if (now > end) {
      const last = Buffer.from(JSON.stringify(value) ?? '').subarray(0, 2000);
      throw new Error(`never came true: ${what}; the last answer was ${String(last)}`);
    }
    // A question that takes a process is asked less often: it has what it waits for do less.
    await new Promise((done) => setTimeout(done, Math.max(50, Math.min(500, now - begun))));
  }
}

/** What `aegis node wait --for` does, without a process for it. */
function untilNode(home: string, wanted: string, patienceMs: number): Promise<unknown> {
  const { socket, adminToken } = resolveHome({ home, env: {} });
  const deadline = Date.now() + patienceMs;
  const signal = new AbortController().signal;
  return untilAnswered({ deadline, signal }, (timeoutMs) => {
    const token = existsSync(adminToken) ? readFileSync(adminToken, 'utf8').trim() : 'none';
    const query = { for: wanted, timeoutMs };
    return new Client({ socket, token, timeoutMs }).call('node.wait', { query });
  });
}

export interface ClusterOptions {
  readonly size: number;
  readonly storageWeights?: readonly number[];
  /** @default each node in one of its own */
  readonly zones?: readonly string[];
  /** So many of the nodes, the last ones, are agents. @default 0 */
  readonly agents?: number;
  /** Protocol version of the first block. @default the latest */
  readonly protocol?: number;
  /** Key and value of a setting of all nodes. */
  readonly settings?: readonly [string, string];
  /** The same, of several. */
  readonly config?: Readonly<Record<string, string>>;
  /** Onion services in the Tor network of this torrc. @default on loopback */
  readonly torrc?: string;
  /** Starts the daemons. @default `Devnet.up` */
  readonly up?: (cluster: Cluster) => Promise<unknown>;
  /** How long what must come may take. @default 30 s */
  readonly patienceMs?: number;
}

export class Cluster {
  readonly dir: string;
  readonly devnet: Devnet;
  readonly #patienceMs: number;

  private constructor(dir: string, devnet: Devnet, patienceMs: number) {
    this.dir = dir;
    this.devnet = devnet;
    this.#patienceMs = patienceMs;
  }

  static async start(wanted: ClusterOptions): Promise<Cluster> {
    const { agents = 0, protocol, settings, config, up, patienceMs, ...options } = wanted;
    const dir = mkdtempSync(join(tmpdir(), 'aegis-e2e-'));
    const devnet = await Devnet.create(
      { dir: join(dir, 'devnet'), bin: BIN, version: '0.0.0-test' },
      // Every start of a daemon derives the key anew; transcripts pay what operators do.
      { kdfCost: QUICK_KDF, ...options, route: options.torrc === undefined ? 'off' : 'require' },
    );
    const cluster = new Cluster(dir, devnet, patienceMs ?? PATIENCE_MS);
    try {
      if (agents > 0 || protocol !== undefined) {
        await cluster.#found(options.size - agents, protocol);
      }
      if (settings !== undefined) await cluster.#set(settings);
      for (const setting of Object.entries(config ?? {})) await cluster.#set(setting);
      await (up === undefined ? devnet.up() : up(cluster));
      await cluster.connected();
    } catch (cause) {
      const words = cluster.lastWords();
      await cluster.stop();
      throw new Error(`the cluster does not start; last words:\n${words}`, { cause });
    }
    return cluster;
  }

  /** Founds the cluster again: as many custodians as told, and the others agents. */
  async #found(custodians: number, protocol: number | undefined): Promise<void> {
    const numbers = this.devnet.nodes.map((_, n) => n + 1);
    const passphrase = ['--passphrase-file', this.passphraseFile];
    const bundle = (number: number) => join(this.dir, `${number}.bundle`);
    await Promise.all(
      numbers.map(async (number) => {
        rmSync(this.home(number).genesis);
        const role = number <= custodians ? 'custodian' : 'agent';
        const out = ['--role', role, '--out', bundle(number)];
        await this.json(number, 'cluster', 'bundle', ...out, ...passphrase);
      }),
    );
    const genesis = join(this.dir, 'genesis');
    const [first, ...others] = numbers;
    const from = protocol === undefined ? [] : ['--protocol', String(protocol)];
    const name = ['--name', 'with-agents', '--out', genesis, ...from];
    await this.json(first!, 'cluster', 'create', ...numbers.map(bundle), ...name);
    await Promise.all(others.map((number) => this.json(number, 'cluster', 'join', genesis)));
  }

  #set(setting: readonly [string, string]): Promise<unknown> {
    const numbers = this.devnet.nodes.map((_, n) => n + 1);
    return Promise.all(numbers.map((number) => this.json(number, 'config', 'set', ...setting)));
  }

  node(number: number): DevnetNode {
    return this.devnet.nodes[number - 1]!;
  }

  home(number: number): HomePaths {
    return resolveHome({ home: this.node(number).home, env: {} });
  }

  get passphraseFile(): string {
    return join(this.dir, 'devnet', 'passphrase');
  }

  /** What the daemons wrote to standard error, for whoever has to find out what went wrong. */
  lastWords(): string {
    const words = this.devnet.nodes.map(({ name }, n) => {
      const file = join(this.home(n + 1).logs, 'console.log');
      return existsSync(file) ? `${name}: ${readFileSync(file, 'utf8').slice(-2000)}` : name;
    });
    return words.join('\n');
  }

  /** `node start --detach`, with its exit status. */
  start(number: number, ...args: string[]): Promise<Run> {
    const passphrase = ['--passphrase-file', this.passphraseFile];
    return this.run(number, 'node', 'start', '--detach', ...passphrase, ...args);
  }

  /** The process of a running node. */
  async pid(number: number): Promise<number> {
    const { pid } = (await this.devnet.status())[number - 1]!;
    if (pid === null) throw new Error(`node ${number} does not run`);
    return pid;
  }

  /** Resolves when every running node is connected to every other running one. */
  async connected(): Promise<void> {
    const running = (await this.devnet.status()).filter((node) => node.state === 'running');
    const wanted = `peers=${running.length - 1}`;
    await Promise.all(running.map(({ home }) => untilNode(home, wanted, this.#patienceMs)));
  }

  run(node: number, ...args: string[]): Promise<Run> {
    return aegis(['--home', this.node(node).home, ...args]);
  }

  json<T = Record<string, unknown>>(node: number, ...args: string[]): Promise<T> {
    return aegisJson<T>(['--home', this.node(node).home, ...args]);
  }

  until<T>(ask: () => T | Promise<T>, right: (value: T) => boolean, what: string): Promise<T> {
    return eventually(ask, right, what, this.#patienceMs);
  }

  /** Without farewell: nobody will need what the nodes would still write. */
  async stop(): Promise<void> {
    const left = (await this.devnet.status()).filter(({ state }) => state !== 'stopped');
    await Promise.all(left.map(({ name }) => this.devnet.kill(name)));
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
  }
}
