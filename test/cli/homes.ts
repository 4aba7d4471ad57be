/** Homes for tests of commands, and what their commands print. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { expect, vi } from 'vitest';
import { writeFormat } from '../../src/core/config/format.ts';
import { ensureHome, resolveHome } from '../../src/core/config/home.ts';
import { writeSettings } from '../../src/core/config/settings.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { QUICK_KDF, withDirectory } from '../helpers/keystores.ts';
import { run } from './command.ts';

export const PASSPHRASE = 'a passphrase that must not be shown';

type Runnable = Parameters<typeof run>[0];
type Schema = v.GenericSchema<unknown, unknown>;

/** A node's home, its passphrase in a file beside it, and every word that its commands printed. */
export class TestHome {
  readonly parent: string;
  readonly name: string;
  readonly dir: string;
  readonly printed: string[] = [];

  constructor(parent: string, name: string) {
    this.parent = parent;
    this.name = name;
    this.dir = join(parent, name);
  }

  /** The JSON of a command, checked against its schema: nothing missing, nothing unknown. */
  async json<S extends Schema>(
    command: Runnable,
    schema: S,
    ...argv: string[]
  ): Promise<v.InferOutput<S>> {
    const value: unknown = JSON.parse(await this.text(command, '--json', ...argv));
    const checked = v.parse(schema, value);
    expect(checked).toEqual(value);
    return checked;
  }

  /** What a command prints. Throws what the command threw. */
  async text(command: Runnable, ...argv: string[]): Promise<string> {
    const { stdout, stderr, error } = await run(command, ['--home', this.dir, ...argv]);
    this.printed.push(stdout, stderr);
    if (error) throw error as Error;
    return stdout;
  }

  at(name: string): string {
    return join(this.parent, name);
  }

  /** As `aegis init` makes it, but for the cost of the key derivation. Returns the node id. */
  async make(listen?: string): Promise<string> {
    const paths = resolveHome({ home: this.dir, env: {} });
    await ensureHome(paths);
    const { name } = this;
    const fields = { name, zone: 'z', region: 'r', createdAt: Date.now(), kdfCost: QUICK_KDF };
    const { keystore, nodeId } = await Keystore.create(
      { ...fields, dir: paths.keys, passphrase: PASSPHRASE },
      { random: systemRandom },
    );
    keystore.close();
    await writeSettings(paths, {
      node: { storageWeight: 100, ...(listen ? { listen: [listen] } : {}) },
    });
    await writeFormat(paths, { aegis: '0.1.0' });
    return nodeId;
  }

  /** The flags that give the passphrase. */
  get with(): string[] {
    return ['--passphrase-file', this.at('passphrase')];
  }
}

/** Homes side by side in a directory of their own, removed afterwards. */
export const withHomes = (
  names: readonly string[],
  use: (...homes: TestHome[]) => Promise<void>,
): Promise<void> =>
  withDirectory(async (parent) => {
    await writeFile(join(parent, 'passphrase'), `${PASSPHRASE}\n`);
    await use(...names.map((name) => new TestHome(parent, name)));
  });

/** Nothing of the tester's own environment reaches the commands. */
export function withoutAegisVariables(): void {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AEGIS_')) vi.stubEnv(name, undefined);
  }
}
