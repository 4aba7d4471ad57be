/**
 * The version of a home's layout. It says which aegis may open the home; the databases in it carry
 * their own schema versions. It does not know what the migrations of other rooms do inside.
 */
import { readFile } from 'node:fs/promises';
import { AegisError } from '../errors.ts';
import { statIfPresent, writeFileAtomic } from '../files.ts';
import type { HomePaths } from './home.ts';

/** The layout that this program writes. Before 2, versions and copies had other tables (W40). */
export const HOME_FORMAT = 2;
const FORMAT_FILE_BYTES_MAX = 4096;

interface FormatFile {
  readonly format: number;
  /** Version of the program that wrote the file, for people. */
  readonly aegis: string;
}

/** Brings a home from format `from` to `from + 1`. Must be harmless when it is run twice. */
export interface Migration {
  readonly from: number;
  run(paths: HomePaths): Promise<void>;
}

export interface FormatOptions {
  /** Version of this program. */
  readonly aegis: string;
  /** @default the migrations of this program: none, since no cluster was in use with format 1. */
  readonly migrations?: readonly Migration[];
  /** @default HOME_FORMAT */
  readonly format?: number;
}

/** Marks a home as made by this program. */
export async function writeFormat(
  paths: HomePaths,
  { aegis, format = HOME_FORMAT }: FormatOptions,
): Promise<void> {
  await writeFileAtomic(paths.format, `${JSON.stringify({ format, aegis })}\n`);
}

/**
 * Opens the way into a home: migrates an older one, step by step, and refuses a newer one.
 *
 * @returns the format that was found.
 * @throws {AegisError} `NO_HOME`, `HOME_TOO_NEW`, `BAD_CONFIG`.
 */
export async function checkFormat(paths: HomePaths, options: FormatOptions): Promise<number> {
  const ours = options.format ?? HOME_FORMAT;
  const found = await readFormat(paths);
  if (found.format > ours) {
    const theirs = `format ${found.format}, written by aegis ${found.aegis}`;
    const message = `the home at ${paths.label} has ${theirs}; this one knows up to ${ours}`;
    throw new AegisError('HOME_TOO_NEW', message);
  }
  for (let format = found.format; format < ours; format += 1) {
    const migration = options.migrations?.find((candidate) => candidate.from === format);
    if (migration === undefined) {
      const message = `the home at ${paths.label} has format ${format}, which is no longer known`;
      throw new AegisError('BAD_CONFIG', message, {
        hint: 'Use the aegis that wrote it, or make the home anew.',
      });
    }
    await migration.run(paths);
    await writeFormat(paths, { aegis: options.aegis, format: format + 1 });
  }
  return found.format;
}

/** @throws {AegisError} `NO_HOME`, `BAD_CONFIG`. */
async function readFormat(paths: HomePaths): Promise<FormatFile> {
  const stats = await statIfPresent(paths.format);
  if (stats === undefined) {
    throw new AegisError('NO_HOME', `there is no aegis home at ${paths.label}`);
  }
  if (!stats.isFile() || stats.size > FORMAT_FILE_BYTES_MAX) throw bad(paths.format);
  return parse(await readFile(paths.format, 'utf8'), paths.format);
}

function parse(text: string, path: string): FormatFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw bad(path, error);
  }
  if (typeof value !== 'object' || value === null) throw bad(path);
  const { format, aegis } = value as Partial<Record<keyof FormatFile, unknown>>;
  if (!Number.isSafeInteger(format) || (format as number) < 1) throw bad(path);
  if (typeof aegis !== 'string') throw bad(path);
  return { format: format as number, aegis };
}

function bad(path: string, cause?: unknown): AegisError {
  return new AegisError('BAD_CONFIG', `${path} is not {"format": number, "aegis": version}`, {
    hint: 'Restore it from a backup of the home.',
    cause,
  });
}
