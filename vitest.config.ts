import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/setup/longest-first.ts';

/** Tests that run the built bin need it fresh; it is built once, if the sources have changed. */
const built = { globalSetup: ['test/setup/build.ts'] };
/** They change a module for themselves (`vi.mock`), which needs a process of its own. */
const mocking = ['decider', 'dropped', 'lane'].map((name) => `test/core/chain/${name}.test.ts`);
const report = process.env['AEGIS_TEST_REPORT'];

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic' } },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    reporters: report ? ['default', ['json', { outputFile: report }]] : ['default'],
    // A test that needs a colour or a terminal says so itself.
    env: { NO_COLOR: '1', AEGIS_HOME: '', CI: '1' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/{core,cli,tui,proof-check}/**/*.test.{ts,tsx}'],
          exclude: mocking,
          testTimeout: 20_000,
          // A process for each of these files cost a quarter of them all.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'unit-mocking',
          include: mocking,
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'vectors',
          include: ['test/vectors/**/*.test.ts'],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'sim',
          include: ['test/sim/**/*.test.ts'],
          testTimeout: 180_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'tidy',
          include: ['test/*.test.ts'],
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          ...built,
          name: 'bin',
          include: ['test/bin/**/*.test.ts'],
          testTimeout: 60_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...built,
          name: 'transcripts',
          include: ['test/transcripts/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          // One private Tor network for all of them; tests of the built bin run here, too.
          globalSetup: [...built.globalSetup, 'test/tor/testnet.ts'],
          name: 'tor',
          include: ['test/tor/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...built,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          // They wait for each other's processes as much as they work: two leave a core idle.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
