/**
 * What the commands of `chain` share: they read the files of a home, while its node runs or while
 * it does not, and ask no daemon.
 */
import type { HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { statIfPresent } from '../core/files.ts';
import type { Genesis } from '../core/model/genesis.ts';
import type { Log } from '../core/ports.ts';
import type { ChainReader } from '../core/storage/chain-readonly.ts';
import { ownGenesis } from './cluster.ts';
import { requireAbsent } from './documents.ts';
import { requireOwnHome } from './own-home.ts';
import { mayDraw } from './terminal.ts';

/** Nobody is there to read it. */
export const SILENT: Log = { write: () => {}, child: () => SILENT };

export interface OwnHistory {
  readonly genesis: Genesis;
  readonly genesisBytes: Uint8Array;
  readonly reader: ChainReader;
}

/** The facts of this home, to be closed again. @throws {AegisError} `NOT_FOUND`. */
export async function openOwnHistory(paths: HomePaths): Promise<OwnHistory> {
  await requireOwnHome(paths);
  const { genesis, bytes: genesisBytes } = await ownGenesis(paths);
  if ((await statIfPresent(paths.chainDb)) === undefined) {
    throw new AegisError('NOT_FOUND', 'no block is final in this home');
  }
  const { ChainReader } = await import('../core/storage/chain-readonly.ts');
  return { genesis, genesisBytes, reader: new ChainReader(paths.chainDb) };
}

/** All of it or nothing under its name; `-` is standard output. @returns how many bytes. */
export async function writeHistory(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  let sizeBytes = 0;
  const counted = async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      sizeBytes += chunk.byteLength;
      yield chunk;
    }
  };
  if (file === '-') {
    if (process.stdout.isTTY) {
      throw new AegisError('USAGE', 'this is not text and standard output is a terminal', {
        hint: 'Name a file, or pass it on to another program.',
      });
    }
    const { writeStdout } = await import('./kb/stdout.ts');
    await writeStdout(counted(), { guard: false, signal });
  } else {
    await requireAbsent(file);
    const { writeFileTarget } = await import('./kb/target.ts');
    await writeFileTarget({ path: file, force: false }, counted());
  }
  return sizeBytes;
}

/** A line on standard error for work that takes longer than a second, on a terminal only. */
export class HeightLine {
  readonly #label: string;
  readonly #draw: boolean;
  readonly #begun = performance.now();
  #drawnAt = 0;

  constructor(label: string, quiet: { readonly quiet: boolean; readonly json: boolean }) {
    this.#label = label;
    this.#draw = mayDraw(quiet);
  }

  tell(height: number, to: number): void {
    const now = performance.now();
    if (!this.#draw || now - this.#begun < 1000 || now - this.#drawnAt < 250) return;
    this.#drawnAt = now;
    process.stderr.write(`\r\u001b[K${this.#label}  height ${height} of ${to}`);
  }

  end(): void {
    if (this.#drawnAt > 0) process.stderr.write('\r\u001b[K');
  }
}

/** What works on the files of a home; each is loaded by the command that needs it. */
export const loadExport = () => import('../core/node/history-export.ts');
export const loadVerify = () => import('../core/node/history-verify.ts');
export const loadImport = () => import('../core/node/history-import.ts');
export const loadPrune = () => import('../core/node/prune-offline.ts');
