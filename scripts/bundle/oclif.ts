/**
 * What makes oclif start quickly: only the parts that aegis uses, with the dependencies of those
 * parts replaced by what they need of them. The replacements know how one version of oclif uses
 * them, so `test/bin/bundle.test.ts` fails on any other until someone has looked again.
 *
 * What aegis does not use and the bundle therefore lacks: oclif's own help, error display,
 * spinners, plugins, TypeScript loading, and the search for commands without a manifest.
 */
import type { Plugin } from 'rolldown';

/** The only version of @oclif/core for which these replacements have been checked. */
export const OCLIF_VERSION = '5.1.9';

const PREFIX = '\0aegis-lean:';
const FACADE = `${PREFIX}@oclif/core`;

/** The parts of oclif that the sources of aegis import; another one fails the build. */
const FACADE_SOURCE = `
export { Command } from '@oclif/core/command';
export { Config } from '@oclif/core/config';
export * as Args from '@oclif/core/args';
export * as Flags from '@oclif/core/flags';
`;

const IDENTITY = 'module.exports = (text) => text;';

/**
 * Module name -> what oclif needs of it. CommonJS, as oclif is: it asks for some by `require` alone
 * and for others by way of their default.
 */
const STUBS: Readonly<Record<string, string>> = {
  // Plugin ranges and node ranges; aegis has no plugins and its bin checks the version of Node.
  semver: 'module.exports = { satisfies: () => true };',
  // Globs of plugin names; aegis has no plugins.
  minimatch: 'module.exports = { minimatch: (name, pattern) => name === pattern };',
  // Finds commands when there is no manifest; the build always writes one.
  tinyglobby:
    'exports.glob = () => Promise.reject(new Error("no oclif.manifest.json: npm run build"));',
  // Finds configuration elsewhere than in package.json.
  lilconfig: 'exports.lilconfig = () => ({ search: async () => null });',
  // Fills templates in help and update addresses; aegis fills its own.
  ejs: 'module.exports = { render: (text) => text };',
  // Every file of the bundle is an ES module.
  'get-package-type': 'module.exports = { sync: () => "module" };',
  // How errors and lists are drawn; aegis draws its own.
  'wrap-ansi': IDENTITY,
  'clean-stack': IDENTITY,
  'indent-string': IDENTITY,
  wordwrap: 'module.exports = () => (text) => text;',
  'string-width': 'module.exports = (text) => text.length;',
  'supports-color': 'module.exports = { stdout: false, stderr: false };',
  ansis: 'module.exports = { strip: (text) => text };',
  'ansi-escapes': 'module.exports = {};',
  'cli-spinners': 'module.exports = { dots: {}, dots2: {}, line: {} };',
  // DEBUG=* of oclif itself.
  debug: 'const log = () => {}; log.extend = () => log; module.exports = () => log;',
};

/** Files of oclif itself -> what the rest of it needs of them. */
const PARTS: readonly (readonly [id: RegExp, source: string])[] = [
  [
    /\.\/help(\/index)?$/,
    'exports.Help = class {}; exports.loadHelpClass = () => Promise.resolve(exports.Help);',
  ],
  // The commands are where the manifest says.
  [/\/ts-path$/, 'exports.tsPath = async (root, path) => `${root}/${path}`;'],
];

/** Asked at every start, as a module of its own; aegis under WSL2 is aegis on Linux. */
const WSL_IMPORT = /\(await import\('wsl-utils'\)\)/g;
const NO_WSL = '({ isWsl: false, powerShellPath: () => "" })';

/** `a.localeCompare(b)` loads ICU collation, 6 ms, to sort the names of commands. */
const COLLATION = /\b(\w+(?:\.\w+)*)\.localeCompare\((\w+(?:\.\w+)*)\)/g;

/** Built-in modules that oclif may need one day, and that cost milliseconds to load now. */
const RARE = /require\("(node:(?:child_process|readline|perf_hooks))"\)/g;

/** One file of oclif without what a start does not need. */
export const leanSource = (code: string): string =>
  code
    .replace(COLLATION, '($1 < $2 ? -1 : $1 > $2 ? 1 : 0)')
    .replace(WSL_IMPORT, NO_WSL)
    .replace(RARE, 'new Proxy({}, { get: (_, key) => process.getBuiltinModule("$1")[key] })');

/** The replacement for what a file of oclif, or of its dependencies, asks for. */
function replacement(id: string): string | undefined {
  return STUBS[id] ?? PARTS.find(([pattern]) => pattern.test(id))?.[1];
}

export const leanOclif = (): Plugin => ({
  name: 'lean-oclif',
  // Ink and others use some of the same packages, and get the real ones.
  resolveId: (id, importer) => {
    if (id === '@oclif/core') return FACADE;
    const isOurs = importer?.includes('/@oclif/core/') && replacement(id) !== undefined;
    return isOurs ? `${PREFIX}${id}` : null;
  },
  load: (id) => {
    if (id === FACADE) return FACADE_SOURCE;
    return id.startsWith(PREFIX) ? (replacement(id.slice(PREFIX.length)) ?? null) : null;
  },
  transform: (code, id) =>
    id.includes('/@oclif/core/lib/') ? { code: leanSource(code), map: null } : null,
});
