/** The world in which the commands of one transcript run: a folder, a home, perhaps a cluster. */
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { resolveHome } from '../../src/core/config/home.ts';
import { Devnet } from '../../src/core/node/devnet.ts';
import { PrivateNetwork } from '../../src/core/tor/testnet/private-network.ts';
import { aegis, BIN, cleanEnv, type Outcome, run } from '../helpers/aegis.ts';
import { FakeTor } from '../helpers/fake-tor.ts';
import { QUICK_KDF } from '../helpers/keystores.ts';
import type { Setting } from './markdown.ts';

/** Nodes of the cluster of a transcript; their homes are $NODE1, $NODE2 ... */
const NODES = 2;
/** So many that one may be away (the tolerance of consensus) while it moves. */
const NODES_MOVING = 4;
/** The network takes 10 s, and is begun anew once where the machine is busy. */
const NETWORK_TIMEOUT_MS = 150_000;

export class Session {
  /** What differs from run to run in every path. */
  readonly dir: string;
  readonly #work: string;
  readonly #env: NodeJS.ProcessEnv;
  #tor: FakeTor | undefined;
  #network: PrivateNetwork | undefined;

  private constructor(dir: string, work: string, env: NodeJS.ProcessEnv) {
    this.dir = dir;
    this.#work = work;
    this.#env = env;
  }

  static async start(setting: Setting): Promise<Session> {
    // Short, because the path of a socket may have 107 bytes.
    const dir = mkdtempSync(join(tmpdir(), 'aegis-'));
    const [bin, work] = [join(dir, 'bin'), join(dir, 'work')];
    for (const folder of [bin, work]) mkdirSync(folder);
    symlinkSync(BIN, join(bin, 'aegis'));
    const passphrase = join(dir, 'passphrase');
    writeFileSync(passphrase, 'a passphrase for transcripts\n');
    chmodSync(passphrase, 0o600);
    const env = {
      HOME: join(dir, 'user'),
      PATH: [bin, dirname(process.execPath), process.env['PATH']].join(delimiter),
      AEGIS_PASSPHRASE_FILE: passphrase,
      AEGIS_HOME: join(dir, 'home'),
      COLUMNS: '100',
      LC_ALL: 'C.UTF-8',
    };
    const session = new Session(dir, work, env);
    if (setting === 'moving') await session.#startNetwork();
    if (setting !== 'home') await session.#startCluster(setting);
    if (setting === 'tor') session.#nameTor();
    return session;
  }

  /** Runs one command line; standard error comes with standard output, as on a terminal. */
  async run(command: string): Promise<Outcome> {
    const fault = /^fake-tor (\S+)(?: (\S+))?$/.exec(command);
    if (fault !== null) return await this.#fakeTor(fault[1]!, fault[2]);
    return await run('bash', ['-c', `exec 2>&1\n${command}`], { cwd: this.#work, env: this.#env });
  }

  /** Ends the cluster, removes the folder, and returns the pids that commands left running. */
  async end(): Promise<number[]> {
    if (this.#env['NODE1'] !== undefined) await this.#devnet('down');
    await this.#tor?.stop();
    await this.#network?.stop();
    const left = daemonPids(this.dir).filter((pid) => {
      try {
        return process.kill(pid, 'SIGKILL');
      } catch {
        return false;
      }
    });
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 });
    return left;
  }

  /** The Tor network to which nodes that start a Tor of their own belong. */
  async #startNetwork(): Promise<void> {
    const where = { dir: this.#torDir, owner: process.pid };
    const network = await PrivateNetwork.start(where, AbortSignal.timeout(NETWORK_TIMEOUT_MS));
    this.#network = network;
    this.#env['AEGIS_TOR_TORRC'] = network.torrc;
  }

  get #torDir(): string {
    return join(this.dir, 'tor');
  }

  /** What nodes that are started from now on take for the Tor of this machine. */
  #nameTor(): void {
    mkdirSync(this.#torDir);
    this.#env['AEGIS_TOR_CONTROL'] = `unix:${join(this.#torDir, 'control')}`;
    this.#env['AEGIS_TOR_SOCKS'] = `unix:${join(this.#torDir, 'socks')}`;
  }

  /**
   * `fake-tor FAULT [PASSWORD]`: Tor does that from now on; `fake-tor stop`: there is none;
   * `fake-tor pow ONION`: this service wants a proof of work.
   */
  async #fakeTor(fault: string, word: string | undefined): Promise<Outcome> {
    const isOfSocks = (name: string): boolean =>
      name === 'none' || name === 'pow' || name.startsWith('socks-');
    if (this.#tor !== undefined && isOfSocks(fault) && isOfSocks(this.#tor.fault)) {
      this.#tor.fault = fault;
    } else {
      await this.#tor?.stop();
      this.#tor = undefined;
      const options = { dir: this.#torDir, fault, ...(word !== undefined && { password: word }) };
      if (fault !== 'stop') this.#tor = await FakeTor.start(options);
    }
    if (fault === 'pow') this.#tor?.showProofOfWork(word ?? '');
    return { stdout: '', stderr: '', exit: 0, signal: null };
  }

  async #startCluster(setting: Setting): Promise<void> {
    const size = setting === 'moving' ? NODES_MOVING : NODES;
    await this.#makeCluster(size, setting === 'onions' ? 'require' : 'off');
    const up = await this.#devnet('up');
    const { nodes } = JSON.parse(up) as { nodes: readonly { home: string }[] };
    nodes.forEach(({ home }, i) => {
      this.#env[`NODE${i + 1}`] = home;
    });
    this.#env['AEGIS_HOME'] = nodes[0]!.home;
    // The passphrase of these homes; devnet has chosen it.
    this.#env['AEGIS_PASSPHRASE_FILE'] = join(dirname(nodes[0]!.home), 'passphrase');
    const wait = ['node', 'wait', '--for', `peers=${size - 1}`];
    for (const { home } of nodes) await this.#aegis('--home', home, ...wait);
  }

  /** The one that `devnet up` finds, with keys that are quick to open. */
  async #makeCluster(size: number, route: 'off' | 'require'): Promise<void> {
    const dir = join(resolveHome({ home: this.#net, env: {} }).data, 'devnet');
    const options = { dir, bin: BIN, version: packageJson.version };
    await Devnet.create(options, { size, kdfCost: QUICK_KDF, route });
  }

  get #net(): string {
    return join(this.dir, 'net');
  }

  async #devnet(...args: string[]): Promise<string> {
    return await this.#aegis('devnet', ...args, '--home', this.#net, '--json');
  }

  async #aegis(...args: string[]): Promise<string> {
    const { stdout, stderr, exit } = await aegis(args, { env: cleanEnv(this.#env) });
    if (exit !== 0) throw new Error(`aegis ${args.join(' ')}: ${exit}: ${stdout}${stderr}`);
    return stdout;
  }
}

/** The daemons that have written down their pid somewhere below `dir`, if they run from there. */
function daemonPids(dir: string): number[] {
  return globSync('**/run/daemon.lock.json', { cwd: dir }).flatMap((file) => {
    const { pid } = JSON.parse(readFileSync(join(dir, file), 'utf8')) as { pid?: number };
    if (pid === undefined || !existsSync(`/proc/${pid}/environ`)) return [];
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(dir) ? [pid] : [];
  });
}
