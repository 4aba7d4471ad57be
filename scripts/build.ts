/**
 * Builds aegis: types, bundle, manifest, man pages, completions. `npm ci` runs it as `prepare`.
 *
 * `--no-types` leaves the type check to another step, `--if-stale` does nothing when the sources
 * have not changed since the last build. The old bundle stays usable while the new one moves in.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { INPUT, OUTPUT } from './bundle/options.ts';

const ROOT = dirname(import.meta.dirname);
const DIST = join(ROOT, 'dist');
const STAMP = join(DIST, '.stamp');

/** Everything that the result depends on, as one hash. */
export function sourceStamp(root: string = ROOT): string {
  const files = globSync(['src/**/*.{ts,tsx}', 'scripts/**/*.ts', 'package*.json', '*.config.ts'], {
    cwd: root,
  });
  const hash = createHash('sha256');
  for (const file of files.toSorted()) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

export const isFresh = (): boolean =>
  existsSync(STAMP) && readFileSync(STAMP, 'utf8') === sourceStamp();

/** The bundle and all that is made from the declarations of the commands. */
export async function build(options: { types: boolean }): Promise<void> {
  const stamp = sourceStamp();
  if (options.types) checkTypes();
  await bundle();
  const { generate } = await import('./generate.ts');
  await generate(ROOT);
  writeFileSync(STAMP, stamp);
}

function checkTypes(): void {
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  const { status } = spawnSync(tsc, ['-p', ROOT], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the type check failed');
}

async function bundle(): Promise<void> {
  mkdirSync(DIST, { recursive: true });
  const fresh = mkdtempSync(join(ROOT, 'dist', '.new-'));
  try {
    const bundled = await rolldown(INPUT);
    await bundled.write({ ...OUTPUT, dir: fresh });
    await bundled.close();
    moveIn(fresh);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Chunks first and entries last, so that at every moment each entry finds its chunks. */
function moveIn(fresh: string): void {
  const files = globSync('**/*.js', { cwd: fresh });
  const isChunk = (file: string): number => (file.startsWith('chunks/') ? 0 : 1);
  for (const file of files.toSorted((a, b) => isChunk(a) - isChunk(b))) {
    mkdirSync(dirname(join(DIST, file)), { recursive: true });
    renameSync(join(fresh, file), join(DIST, file));
  }
  const kept = new Set(files);
  for (const file of globSync(['*.js', 'chunks/*.js', 'commands/**/*.js'], { cwd: DIST })) {
    if (!kept.has(file)) rmSync(join(DIST, file));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const has = (flag: string): boolean => process.argv.includes(flag);
  if (!has('--if-stale') || !isFresh()) await build({ types: !has('--no-types') });
}
