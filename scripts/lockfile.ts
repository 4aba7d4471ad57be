/**
 * Completes package-lock.json: `node scripts/lockfile.ts` after every change of a dependency.
 *
 * Packages with native code come as one optional package a platform. A registry that mirrors only
 * some platforms makes `npm install` leave the others out of the lock file, and then `npm ci` fails
 * wherever it runs. The entries added here say which platform a package is for, which is enough for
 * npm to pass over it elsewhere; they have no integrity, because nobody here has seen the package.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly license?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}

export interface Lock {
  readonly packages: Readonly<Record<string, Entry>>;
  readonly [key: string]: unknown;
}

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const PROCESSORS = ['arm64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];

/** The lock file with an entry for every platform package that one of its packages names. */
export function completeLock(lock: Lock): Lock {
  const packages: Record<string, Entry> = { ...lock.packages };
  for (const [path, entry] of Object.entries(lock.packages)) {
    const optional = Object.entries(entry.optionalDependencies ?? {});
    for (const [name, version] of optional) {
      // Platform packages are named by exact version; anything else npm has resolved itself.
      if (!/^\d/.test(version) || find(packages, path, name)?.version === version) continue;
      const at = folderFor(packages, path, optional);
      packages[`${at}${name}`] = platformEntry(name, version, entry);
    }
  }
  const names = Object.keys(packages).toSorted((a, b) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(names.map((name) => [name, packages[name]!])) };
}

/** What `name` means to the package at `path`: the nearest one on the way up. */
function find(packages: Lock['packages'], path: string, name: string): Entry | undefined {
  for (let at = path; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    const entry = packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`];
    if (entry !== undefined || at === '') return entry;
  }
}

/** The folder that holds the packages of the other platforms, which is where npm has put them. */
function folderFor(
  packages: Lock['packages'],
  path: string,
  siblings: readonly (readonly [string, string])[],
): string {
  const folder = path.slice(0, path.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const isThere = siblings.some(([name, version]) => packages[folder + name]?.version === version);
  return isThere || folder === 'node_modules/' ? folder : `${path}/node_modules/`;
}

function platformEntry(name: string, version: string, parent: Entry): Entry {
  const words = name.split(/[/-]/);
  const os = SYSTEMS.filter((system) => words.includes(system));
  const cpu = PROCESSORS.filter((processor) => words.includes(processor));
  if (cpu.length === 0) throw new Error(`${name} is for no platform that this script knows`);
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : undefined;
  return {
    version,
    cpu,
    ...(parent.dev === true ? { dev: true } : {}),
    ...(libc === undefined || !os.includes('linux') ? {} : { libc }),
    ...(parent.license === undefined ? {} : { license: parent.license }),
    optional: true,
    ...(os.length === 0 ? {} : { os }),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
  writeFileSync('package-lock.json', `${JSON.stringify(completeLock(lock), null, 2)}\n`);
}
