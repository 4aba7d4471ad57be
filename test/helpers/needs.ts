/**
 * Some tests need a program that not every machine has. They say plainly what is left out; where
 * everything has to be there (`AEGIS_CI_REQUIRE=1`), what is missing is a failure.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Whether a program is on the PATH, or a file is there. Says nothing. */
export function isThere(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(Boolean);
  return folders.some((folder) => isExecutable(join(folder, program)));
}

/**
 * Whether a program is on the PATH, or a file such as `/proc/self/stat` is there. Use it with
 * `describe.skipIf(!needs('tmux', 'monitor tests'))`, which puts what is skipped into the report.
 *
 * @throws {Error} when it is missing and `AEGIS_CI_REQUIRE=1`.
 */
export function needs(program: string, what = 'tests'): boolean {
  if (isThere(program)) return true;
  const notice = `skipped: ${what}, because ${program} is not there`;
  if (process.env['AEGIS_CI_REQUIRE'] === '1') throw new Error(notice);
  process.stderr.write(`${notice}\n`);
  return false;
}
