/** The tools that look at the whole: types, lint, format, and what nothing uses. */
import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

/** Runs a tool of this repository; what it says is the message of a failure. */
function run(tool: string, ...args: string[]): void {
  const { status, stdout, stderr } = spawnSync(`node_modules/.bin/${tool}`, args, {
    encoding: 'utf8',
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  expect(status, `${tool} ${args.join(' ')}\n${stdout}${stderr}`).toBe(0);
}

test('the types hold', () => run('tsc', '-p', '.'));

test('oxlint has nothing to say', () => run('oxlint', '--type-aware', '--quiet'));

test('biome would change nothing', () => run('biome', 'ci', '--colors=off'));

test('nothing is exported, installed or kept that nothing uses', () => run('knip'));
