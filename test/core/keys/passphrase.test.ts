import { spawn } from 'node:child_process';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { type PassphraseSources, resolvePassphrase } from '../../../src/core/keys/passphrase.ts';
import { withDirectory } from '../../helpers/keystores.ts';

const base = { env: {}, purpose: 'a test' };
const fromFile = (file: string): Promise<string> => resolvePassphrase({ ...base, file });

test('the sources stand in the order of the contract', async () => {
  await withDirectory(async (dir) => {
    const at = async (name: string): Promise<string> => {
      await writeFile(join(dir, name), `${name}\n`);
      return join(dir, name);
    };
    const env: Record<string, string> = {
      AEGIS_PASSPHRASE_FILE: await at('from-variable-file'),
      CREDENTIALS_DIRECTORY: dir,
      AEGIS_PASSPHRASE_COMMAND: 'echo from-command',
      AEGIS_PASSPHRASE: 'from-variable',
    };
    await at('aegis-passphrase');
    const handle = await open(await at('from-fd'));
    const warnings: string[] = [];
    let sources: PassphraseSources = {
      ...base,
      env,
      file: await at('from-file'),
      fd: handle.fd,
      prompt: () => Promise.resolve('from-prompt'),
      warn: (line) => warnings.push(line),
    };
    const next = async (dropped: keyof PassphraseSources | undefined, ...names: string[]) => {
      if (dropped !== undefined) {
        const { [dropped]: _, ...rest } = sources;
        sources = rest as PassphraseSources;
      }
      for (const name of names) delete env[name];
      return await resolvePassphrase(sources);
    };
    expect(await next(undefined)).toBe('from-file');
    expect(await next('file')).toBe('from-fd');
    expect(await next('fd')).toBe('from-variable-file');
    expect(await next(undefined, 'AEGIS_PASSPHRASE_FILE')).toBe('aegis-passphrase');
    expect(await next(undefined, 'CREDENTIALS_DIRECTORY')).toBe('from-command');
    expect(warnings).toEqual([]);
    expect(await next(undefined, 'AEGIS_PASSPHRASE_COMMAND')).toBe('from-variable');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).not.toContain('from-variable');
    expect(await next(undefined, 'AEGIS_PASSPHRASE')).toBe('from-prompt');
    await expect(next('prompt')).rejects.toMatchObject({ code: 'PASSPHRASE_REQUIRED', exit: 2 });
    await handle.close().catch(() => undefined);
  });
});

test('a directory of credentials without ours is passed over', async () => {
  await withDirectory(async (dir) => {
    const env = { CREDENTIALS_DIRECTORY: dir, AEGIS_PASSPHRASE: 'x' };
    expect(await resolvePassphrase({ ...base, env })).toBe('x');
  });
});

test('one trailing newline is dropped, and nothing else', async () => {
  await withDirectory(async (dir) => {
    const path = join(dir, 'p');
    const cases = { 'a\n': 'a', 'a\r\n': 'a', 'a\n\n': 'a\n', ' a ': ' a ', 'a\nb': 'a\nb' };
    for (const [content, expected] of Object.entries(cases)) {
      await writeFile(path, content);
      expect(await fromFile(path)).toBe(expected);
    }
  });
});

test('what is no passphrase is refused, without repeating it', async () => {
  await withDirectory(async (dir) => {
    const path = join(dir, 'p');
    const bad = [Buffer.alloc(0), Buffer.from('\n'), Buffer.of(0xc3, 0x28), Buffer.alloc(2000, 65)];
    for (const content of bad) {
      await writeFile(path, content);
      await expect(fromFile(path)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    }
    await expect(fromFile('/dev/zero')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(fromFile(join(dir, 'nowhere'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await mkdir(join(dir, 'directory'));
    await expect(fromFile(join(dir, 'directory'))).rejects.toMatchObject({ code: 'UNREADABLE' });
    await expect(resolvePassphrase({ ...base, fd: 987 })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    const prompt = (): Promise<string> => Promise.resolve('');
    await expect(resolvePassphrase({ ...base, prompt })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
  });
});

test('a command that fails, floods or is silent gives no passphrase', async () => {
  const run = (command: string) =>
    resolvePassphrase({ ...base, env: { AEGIS_PASSPHRASE_COMMAND: command } });
  await expect(run('echo secret; exit 3')).rejects.toMatchObject({
    code: 'PASSPHRASE_REQUIRED',
    message: 'AEGIS_PASSPHRASE_COMMAND failed with status 3',
  });
  await expect(run('yes 2>/dev/null')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  await expect(run('true')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  expect(await run('printf "two words"')).toBe('two words');
});

test('- reads standard input, of which a pipe may give little at a time', async () => {
  const module = new URL('../../../src/core/keys/passphrase.ts', import.meta.url).href;
  const script = `
    const { resolvePassphrase } = await import(${JSON.stringify(module)});
    process.stdout.write(await resolvePassphrase({ file: '-', env: {}, purpose: 'a test' }));`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  const out = text(child.stdout);
  for (const piece of ['from ', 'standard ', 'input\n']) child.stdin.write(piece);
  child.stdin.end();
  expect(await out).toBe('from standard input');
});
