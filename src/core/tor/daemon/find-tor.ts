/** The tor of this machine as a program: where it is, how old it is. Starts it for `--version`. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { AegisError } from '../../errors.ts';
import { checkVersion } from '../control/authentication.ts';
import { shown } from '../control/text.ts';

export interface TorBinary {
  readonly path: string;
  /** Such as `0.4.9.11`. */
  readonly version: string;
}

/** Debian's is not on the PATH of ordinary users; those of Homebrew and MacPorts often are not. */
const FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin'];
const FOLDERS_OF_PACKAGES = ['/opt/homebrew/bin', '/opt/local/bin'];
const VERSION_TIMEOUT_MS = 15_000;

/**
 * @param binary a path, or a name to look for; as the setting `tor.binary` has it.
 * @throws {AegisError} `TOR_FAILED` when there is none or it is something else, `TOR_TOO_OLD`.
 */
export async function findTor(binary = 'tor'): Promise<TorBinary> {
  const path = await find(binary);
  const output = await versionOf(path);
  const version = /^Tor version ([0-9][0-9A-Za-z.-]{0,38})/m.exec(output)?.[1]?.replace(/\.$/, '');
  if (version === undefined) {
    const said = shown(output.split('\n')[0] ?? '');
    throw new AegisError('TOR_FAILED', `${path} is no tor: it says ${JSON.stringify(said)}`, {
      hint: 'Name the program with tor.binary.',
    });
  }
  return { path, version: checkVersion(version) };
}

async function find(binary: string): Promise<string> {
  const isName = !binary.includes('/');
  if (!isName && !isAbsolute(binary)) {
    throw new AegisError('BAD_CONFIG', `tor.binary is ${binary}, which is no absolute path`);
  }
  const ofPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => isAbsolute(folder));
  const folders = [...ofPath, ...FOLDERS, ...FOLDERS_OF_PACKAGES];
  const candidates = isName ? folders.map((folder) => join(folder, binary)) : [binary];
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  const message = isName
    ? `there is no program ${binary} on this machine`
    : `${binary} is no program that this user can start`;
  throw new AegisError('TOR_FAILED', message, {
    hint: 'Install Tor (apt install tor, dnf install tor, brew install tor), or set tor.binary.',
  });
}

/** Whether `path` can be started by this user. */
export const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

/** What it prints, even when it ends badly: that it is something else shows in the words. */
function versionOf(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: VERSION_TIMEOUT_MS, maxBuffer: 64 * 1024, env: {} };
    execFile(path, ['--version'], options, (error, stdout, stderr) => {
      const started = error === null || typeof error.code === 'number' || error.signal !== null;
      if (started) resolve(`${stdout}${stderr}`);
      else reject(new AegisError('TOR_FAILED', `${path} does not start`, { cause: error }));
    });
  });
}
