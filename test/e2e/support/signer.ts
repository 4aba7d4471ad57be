/** A node of a cluster whose keys move to a signer, and the signer as a process. */
import { cpSync, globSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { resolveHome } from '../../../src/core/config/home.ts';
import { type Cluster, type Running, spawnAegis } from './cluster.ts';

const MOVED = ['identity', 'identity-next', 'consensus', 'vrf'].map((name) => `${name}.key.json`);

export class Signer {
  readonly home: string;
  readonly #passphraseFile: string;
  #running: Running | undefined;

  private constructor(home: string, passphraseFile: string) {
    this.home = home;
    this.#passphraseFile = passphraseFile;
  }

  /** The node must not run. Its home is that of a node with a signer afterwards. */
  static async takeKeys(cluster: Cluster, node: number): Promise<Signer> {
    const home = join(cluster.dir, 'signer');
    const from = cluster.home(node);
    const to = resolveHome({ home, env: {} });
    for (const path of [to.data, to.logs, to.run])
      mkdirSync(path, { recursive: true, mode: 0o700 });
    cpSync(dirname(from.format), home, {
      recursive: true,
      filter: (path) => !/\/(data|logs|run)(\/|$)/.test(path.slice(dirname(from.format).length)),
    });
    for (const name of MOVED) rmSync(join(from.keys, name));
    for (const path of globSync(join(from.keys, '*.bak'))) rmSync(path);
    const signer = new Signer(home, cluster.passphraseFile);
    await cluster.json(node, 'config', 'set', 'keys.signer', signer.socket);
    return signer;
  }

  get socket(): string {
    return join(this.home, 'run', 'signer.sock');
  }

  /** Resolves when it says READY. */
  async start(...args: string[]): Promise<void> {
    const passphrase = ['--passphrase-file', this.#passphraseFile];
    const running = spawnAegis(['--home', this.home, 'keys', 'serve', ...passphrase, ...args]);
    this.#running = running;
    const lines = createInterface({ input: running.child.stdout });
    await new Promise<void>((ready, fail) => {
      lines.once('line', () => ready());
      void running.done.then(({ exit, stderr }) => fail(new Error(`exit ${exit}: ${stderr}`)));
    });
  }

  /** Makes it read its keys again. */
  hangUp(): void {
    this.#running?.child.kill('SIGHUP');
  }

  async kill(): Promise<void> {
    this.#running?.child.kill('SIGKILL');
    await this.#running?.done;
  }

  /** Its exit status. */
  async stop(): Promise<number | null> {
    this.#running?.child.kill('SIGTERM');
    return (await this.#running?.done)?.exit ?? null;
  }
}
