import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { checkFormat, HOME_FORMAT, writeFormat } from '../../../src/core/config/format.ts';
import { ensureHome, type HomePaths, resolveHome } from '../../../src/core/config/home.ts';

async function home(): Promise<HomePaths> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-format-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const paths = resolveHome({ home: dir, env: {} });
  await ensureHome(paths);
  return paths;
}

const aegis = '0.1.0';

test('the format of a new home is the one of this program', async () => {
  const paths = await home();
  await expect(checkFormat(paths, { aegis })).rejects.toMatchObject({ code: 'NO_HOME' });
  await writeFormat(paths, { aegis });
  expect(JSON.parse(await readFile(paths.format, 'utf8'))).toEqual({ format: 2, aegis });
  expect(await checkFormat(paths, { aegis })).toBe(HOME_FORMAT);
});

test('a newer home is refused by name', async () => {
  const paths = await home();
  await writeFormat(paths, { aegis: '9.9.9', format: HOME_FORMAT + 1 });
  await expect(checkFormat(paths, { aegis })).rejects.toMatchObject({
    code: 'HOME_TOO_NEW',
    exit: 78,
    message: expect.stringContaining('format 3, written by aegis 9.9.9'),
  });
});

test('an older home is migrated step by step; a step that fails is run again', async () => {
  const paths = await home();
  await writeFormat(paths, { aegis, format: 1 });
  const ran: number[] = [];
  let broken = true;
  const migrations = [1, 2].map((from) => ({
    from,
    run: () => {
      if (from === 2 && broken) return Promise.reject(new Error('no'));
      ran.push(from);
      return Promise.resolve();
    },
  }));
  const options = { aegis: '0.3.0', format: 3, migrations };
  await expect(checkFormat(paths, options)).rejects.toThrow('no');
  broken = false;
  expect(await checkFormat(paths, options)).toBe(2);
  expect(await checkFormat(paths, options)).toBe(3);
  expect(ran).toEqual([1, 2]);
  const unknown = checkFormat(paths, { aegis, format: 5, migrations });
  await expect(unknown).rejects.toMatchObject({ code: 'BAD_CONFIG' });
});

test('a home of format 1 is refused: no cluster was in use with it', async () => {
  const paths = await home();
  await writeFormat(paths, { aegis, format: 1 });
  await expect(checkFormat(paths, { aegis })).rejects.toMatchObject({ code: 'BAD_CONFIG' });
});

test.each(['', '{', '3', 'null', '{"format":1}', '{"format":0,"aegis":"x"}', 'x'.repeat(5000)])(
  'a format file of %.20j is a bad configuration',
  async (text) => {
    const paths = await home();
    await writeFile(paths.format, text);
    await expect(checkFormat(paths, { aegis })).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  },
);
