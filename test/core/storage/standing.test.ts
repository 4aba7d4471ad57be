import { cp, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LogEntry } from '../../../src/core/machine.ts';
import { chainService } from '../../../src/core/storage/chain-service.ts';
import { packEntries } from '../../../src/core/storage/packed-entries.ts';
import type { StandingOptions, StandingReport } from '../../../src/core/storage/standing.ts';
import { acknowledged, startWriter } from './support/child.ts';
import { scratch } from './support/stores.ts';

const FRAME_BYTES = 24 + 4096;

/** The store without its worker, which takes a while to start. */
function openChain(path: string, options: StandingOptions = {}) {
  const { handlers, close } = chainService(path, options, (error) => {
    throw error;
  });
  return {
    commit: (entries: readonly LogEntry[]) => handlers.commit(packEntries(entries)),
    standing: () => handlers.standing(undefined) as StandingReport,
    settle: async () => await handlers.settle(undefined),
    close: async () => {
      await handlers.close(undefined);
      close();
    },
  };
}

const commitSome = async (store: ReturnType<typeof openChain>, count = 5): Promise<void> => {
  for (let n = 0; n < count; n += 1) {
    await store.commit([{ table: 't', key: `${n}`, value: new Uint8Array(300).fill(n) }]);
  }
};

/** A home whose node has worked and stopped. */
async function worked(): Promise<{ dir: string; path: string }> {
  const dir = await scratch();
  const path = join(dir, 'chain.db');
  const store = openChain(path);
  expect(store.standing()).toEqual({ standing: 'sound', reason: undefined });
  await commitSome(store);
  await store.close();
  return { dir, path };
}

interface Killed {
  readonly path: string;
  /** The log as the kill left it. */
  readonly log: string;
  /** Makes all files what the kill left, in place: they stay the same files. */
  again(): Promise<void>;
}

/** A home whose node was killed while it wrote. */
async function killed(): Promise<Killed> {
  const dir = await scratch();
  const writer = startWriter(dir, 'endless');
  await writer.until((line) => line === 'chain e9b');
  writer.child.kill('SIGKILL');
  await writer.ended;
  const path = join(dir, 'chain.db');
  const names = [path, `${path}-wal`, `${path}.standing`];
  const left = await Promise.all(names.map((name) => readFile(name)));
  const again = async () => {
    await rm(`${path}-shm`, { force: true });
    for (const [n, name] of names.entries()) await writeFile(name, left[n]!);
  };
  return { path, log: `${path}-wal`, again };
}

async function reopened(path: string, options = {}): Promise<string> {
  const store = openChain(path, options);
  const { standing, reason } = store.standing();
  await store.close();
  return reason === undefined ? standing : `${standing}: ${reason.replaceAll(path, 'FILE')}`;
}

/** Where the transactions of a log end. */
async function commitEnds(wal: string): Promise<number[]> {
  const bytes = await readFile(wal);
  const ends: number[] = [];
  for (let at = 32; at + FRAME_BYTES <= bytes.length; at += FRAME_BYTES) {
    if (bytes.readUInt32BE(at + 4) !== 0) ends.push(at + FRAME_BYTES);
  }
  return ends;
}

test('a home that stops and starts is sound, also after a power cut', async () => {
  const { path } = await worked();
  expect(await reopened(path)).toBe('sound');
  expect(await reopened(path, { boot: 'another' })).toBe('sound');
  expect((await stat(`${path}.standing`)).mode & 0o777).toBe(0o600);
});

test('kill -9 never makes doubt, whatever it interrupts', async () => {
  const dir = await scratch();
  const path = join(dir, 'chain.db');
  for (let round = 0; round < 3; round += 1) {
    const writer = startWriter(dir, 'endless');
    await writer.until((line) => line === `chain e${3 * round}b`);
    writer.child.kill('SIGKILL');
    await writer.ended;
    expect(acknowledged(writer.lines, 'chain').length).toBeGreaterThan(0);
    expect(await reopened(path)).toBe('sound');
  }
});

test('a flipped bit in a committed transaction makes doubt, after a power cut too', async () => {
  const { path, log, again } = await killed();
  for (const options of [{}, { boot: 'another' }]) {
    await again();
    const at = (await commitEnds(log)).at(-3)! - 100;
    const file = await open(log, 'r+');
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.of(buffer[0]! ^ 1), 0, 1, at);
    await file.close();
    expect(await reopened(path, options)).toMatch(/^doubtful: /);
  }
});

test('a log that was cut makes doubt: between transactions, in one, and altogether', async () => {
  const { path, log, again } = await killed();
  const cuts: ((ends: number[]) => number)[] = [
    (ends) => ends.at(-4)!,
    (ends) => ends.at(-3)! - 1000,
    (ends) => ends.at(-3)! - FRAME_BYTES,
    () => 0,
  ];
  for (const cut of cuts) {
    await again();
    await truncate(log, cut(await commitEnds(log)));
    expect(await reopened(path)).toMatch(/^doubtful: the last \d+ transactions of FILE are gone/);
  }
  await again();
  expect(await reopened(path)).toBe('sound');
});

test('doubt stays until it is settled', async () => {
  const { path, log } = await killed();
  await truncate(log, 0);
  await reopened(path);
  expect(await reopened(path)).toBe('doubtful: this home was in doubt before');
  const store = openChain(path);
  await commitSome(store, 20);
  await store.close();
  expect(await reopened(path)).toMatch(/^doubtful/);
  const settled = openChain(path);
  await settled.settle();
  await commitSome(settled);
  expect(settled.standing()).toEqual({ standing: 'sound', reason: undefined });
  await settled.close();
  expect(await reopened(path)).toBe('sound');
});

test('a home that was copied or restored is in doubt, and the first one is not', async () => {
  const { dir, path } = await worked();
  const copy = join(await scratch(), 'copy');
  await cp(dir, copy, { recursive: true });
  expect(await reopened(join(copy, 'chain.db'))).toMatch(/is a copy: this home was copied/);
  expect(await reopened(path)).toBe('sound');
});

test('an older state of the same file is in doubt, also when it is written in place', async () => {
  const { path } = await worked();
  const before = await readFile(path);
  const store = openChain(path);
  await commitSome(store);
  await store.close();
  const file = await open(path, 'r+');
  await file.write(before, 0, before.length, 0);
  await file.truncate(before.length);
  await file.close();
  expect(await reopened(path)).toBe('doubtful: the last 5 transactions of FILE are gone');
});

test('a new file in a home that has worked is in doubt', async () => {
  const { path } = await worked();
  await rename(path, `${path}.away`);
  expect(await reopened(path)).toBe('doubtful: FILE was lost');

  const other = await worked();
  await writeFile(other.path, '');
  expect(await reopened(other.path)).toMatch(/^doubtful/);
});

test('a record that is gone or damaged makes doubt', async () => {
  const { path } = await worked();
  await rm(`${path}.standing`);
  expect(await reopened(path)).toBe('doubtful: FILE.standing is gone');

  const other = await worked();
  await writeFile(`${other.path}.standing`, 'x'.repeat(200));
  expect(await reopened(other.path)).toBe('doubtful: FILE.standing is damaged');
  const store = openChain(other.path);
  await store.settle();
  await store.close();
  expect(await reopened(other.path)).toBe('sound');
});

test('a file that was never counted is sound, unless the home has a history', async () => {
  const path = join(await scratch(), 'chain.db');
  expect(await reopened(path, { hasHistory: true })).toBe('doubtful: FILE was lost');
  const other = join(await scratch(), 'chain.db');
  expect(await reopened(other)).toBe('sound');
  expect(await reopened(other, { hasHistory: true })).toBe('sound');
});
