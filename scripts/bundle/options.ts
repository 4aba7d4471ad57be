/** How the bundle is made: one entry a command, so that a command loads nothing of another. */
import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InputOptions, OutputOptions } from 'rolldown';
import { leanOclif } from './oclif.ts';

const ROOT = dirname(dirname(import.meta.dirname));
const commands = globSync('src/commands/**/*.ts', { cwd: ROOT });
/** Threads load a file of their own. */
const workers = {
  'storage-worker': 'src/core/storage/worker.ts',
  'signer-worker': 'src/core/keys/signer-worker.ts',
  'copy-worker': 'src/core/storage/copy-worker.ts',
  'sim-worker': 'src/core/sim/campaign-worker.ts',
};

const START = new RegExp(
  [
    '/@oclif/core/',
    'rolldown/runtime',
    '/src/core/(assert|errors|files|units)\\.ts$',
    '/src/core/config/home\\.ts$',
    `/src/cli/(${[
      'base|flags|format|table|text|colour|terminal|interruption|version',
      'errors|route|suggest',
    ].join('|')})\\.ts$`,
  ].join('|'),
);
const CLIENT = /\/src\/(cli\/connect|core\/api\/client\/\w+|core\/api\/contract\/routes)\.ts$/;

export const INPUT: InputOptions = {
  cwd: ROOT,
  platform: 'node',
  input: {
    run: 'src/cli/run.ts',
    ...Object.fromEntries(
      Object.entries(workers).filter(([, file]) => existsSync(join(ROOT, file))),
    ),
    ...Object.fromEntries(commands.map((file) => [file.slice('src/'.length, -'.ts'.length), file])),
  },
  // Native code cannot be bundled; Ink asks for its developer tools only where they are wanted.
  external: ['@chainsafe/blst', '@napi-rs/blake-hash', 'react-devtools-core'],
  plugins: [leanOclif()],
  // A dynamic import can be there for another reader of the same module.
  checks: { ineffectiveDynamicImport: false },
  transform: { define: { 'process.env.NODE_ENV': '"production"' } },
};

export const OUTPUT: OutputOptions = {
  format: 'esm',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name]-[hash].js',
  // Each file that a start loads costs up to a millisecond: what every command needs is one file,
  // and what one question to the daemon needs is another.
  codeSplitting: {
    groups: [
      { name: 'start', test: START },
      { name: 'client', test: CLIENT },
    ],
  },
  // Names stay: the stack in a bug report must say something.
  minify: { compress: true, mangle: { keepNames: true }, codegen: { removeWhitespace: true } },
};
