/** A node that is not of the genesis: a home of its own, made and run as an operator would. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../../../src/core/api/client/client.ts';
import { type HomePaths, resolveHome } from '../../../src/core/config/home.ts';
import { aegis, aegisJson, type Run } from './cluster.ts';

export class Newcomer {
  readonly name: string;
  readonly nodeId: string;
  readonly #dir: string;

  private constructor(name: string, nodeId: string, dir: string) {
    this.name = name;
    this.nodeId = nodeId;
    this.#dir = dir;
  }

  /** `aegis init`: a home with keys, in no cluster. */
  static async create(name: string): Promise<Newcomer> {
    const dir = mkdtempSync(join(tmpdir(), 'aegis-e2e-'));
    writeFileSync(join(dir, 'passphrase'), 'a passphrase for tests\n', { mode: 0o600 });
    const passphrase = ['--passphrase-file', join(dir, 'passphrase')];
    const listen = ['--listen', '/ip4/127.0.0.1/tcp/0'];
    const init = ['--home', join(dir, 'home'), 'init', '--name', name, ...listen, ...passphrase];
    const { nodeId } = await aegisJson<{ nodeId: string }>(init);
    return new Newcomer(name, nodeId, dir);
  }

  get home(): HomePaths {
    return resolveHome({ home: join(this.#dir, 'home'), env: {} });
  }

  /** A file beside the home. */
  at(name: string): string {
    return join(this.#dir, name);
  }

  run(...args: string[]): Promise<Run> {
    return aegis(['--home', this.home.label, ...args]);
  }

  json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    return aegisJson<T>(['--home', this.home.label, ...args]);
  }

  /** `cluster bundle --role agent`; returns the file. */
  async bundle(): Promise<string> {
    const file = this.at('bundle');
    const out = ['--role', 'agent', '--no-address', '--out', file, '--yes'];
    await this.json('cluster', 'bundle', ...out, '--passphrase-file', this.at('passphrase'));
    return file;
  }

  /** `node start --detach`, with its exit status. */
  start(): Promise<Run> {
    return this.run('node', 'start', '--detach', '--passphrase-file', this.at('passphrase'));
  }

  /** A daemon has a new token after each start, so a client lives for one call. */
  client(timeoutMs = 10_000): Client {
    const { socket, adminToken } = this.home;
    return new Client({ socket, token: readFileSync(adminToken, 'utf8').trim(), timeoutMs });
  }

  /** Ends the daemon, if there is one, and removes the home. */
  async remove(): Promise<void> {
    await this.run('node', 'stop');
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
