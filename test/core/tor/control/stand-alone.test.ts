import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import type { TorEndpoint } from '../../../../src/core/tor/endpoint.ts';
import { linkTo } from './support.ts';

test('the fake Tor runs by itself, with its fault, and ends with its standard input', async () => {
  const fake = spawn(process.execPath, ['test/helpers/fake-tor.ts', '--fault', 'stuck'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void fake.kill('SIGKILL'));
  const exit = once(fake, 'exit');
  const [line] = (await once(createInterface({ input: fake.stdout }), 'line')) as [string];
  const { control } = JSON.parse(line) as { control: TorEndpoint };
  const link = linkTo({ control });
  await link.start();
  const info = await link.getInfo('status/bootstrap-phase');
  expect(info['status/bootstrap-phase']).toContain('PROGRESS=14');
  fake.stdin.end();
  expect(await exit).toEqual([0, null]);
});
