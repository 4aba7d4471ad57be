/**
 * What makes oclif start quickly: four of its dependencies replaced by what it needs of them, and
 * no collator. Measured on @oclif/core 5.1.9: 139 to 52 ms of CPU for one call to the daemon. The
 * replacements know how that version uses them, so `test/cli/bundle.test.ts` fails on any other.
 */
import type { Plugin } from 'rolldown';

/** The only version of @oclif/core for which these replacements have been checked. */
export const OCLIF_VERSION = '5.1.9';

const PREFIX = '\0aegis-stub:';

/** Module name -> what oclif needs of it. */
const STUBS: Readonly<Record<string, string>> = {
  // Plugin ranges and node ranges; aegis has no plugins and its bin checks the version of Node.
  semver: 'export const satisfies = () => true; export default { satisfies };',
  // Globs of plugin names; aegis has no plugins.
  minimatch: 'export const minimatch = (name, pattern) => name === pattern;',
  // Finds commands when there is no manifest; the build always writes one.
  tinyglobby:
    'export const glob = () => Promise.reject(new Error("no oclif.manifest.json: npm run build"));',
  // Animations that aegis does not use.
  'cli-spinners':
    'const dots = { interval: 80, frames: ["."] }; export { dots }; ' +
    'export default { dots, dots2: dots, line: dots };',
};

/** Asked at every start, as a module of its own; aegis under WSL2 is aegis on Linux. */
const WSL_IMPORT = /\(await import\('wsl-utils'\)\)/g;
const NO_WSL = '({ isWsl: false, powerShellPath: () => "" })';

/** `a.localeCompare(b)` loads ICU collation, 6 ms, to sort the names of commands. */
const COLLATION = /\b(\w+(?:\.\w+)*)\.localeCompare\((\w+(?:\.\w+)*)\)/g;

export const leanOclif = (): Plugin => ({
  name: 'lean-oclif',
  resolveId: (id) => (id in STUBS ? `${PREFIX}${id}` : null),
  load: (id) => (id.startsWith(PREFIX) ? (STUBS[id.slice(PREFIX.length)] ?? null) : null),
  transform: (code, id) =>
    id.includes('@oclif/core/lib') ? { code: leanSource(code), map: null } : null,
});

/** One file of oclif without the collator and without the question for WSL. */
export const leanSource = (code: string): string =>
  code.replace(COLLATION, '($1 < $2 ? -1 : $1 > $2 ? 1 : 0)').replace(WSL_IMPORT, NO_WSL);
