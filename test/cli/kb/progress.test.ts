import { expect, it } from 'vitest';
import { progressLine, withProgress } from '../../../src/cli/kb/progress.ts';

it('tells bytes, share, rate and the time that is left', () => {
  const options = { label: 'a.md', totalBytes: 4 * 1024 * 1024, draw: true };
  expect(progressLine(options, 1024 * 1024, 2000)).toBe(
    'a.md  1.0 MiB of 4.0 MiB  25 %  512 KiB/s  6.0s left',
  );
  const unknown = { label: 'a.md', draw: true };
  expect(progressLine(unknown, 1024, 1000)).toBe('a.md  1.0 KiB  1.0 KiB/s');
});

it('passes everything on', async () => {
  async function* source() {
    yield Buffer.from('a');
    yield Buffer.from('b');
  }
  for (const draw of [true, false]) {
    const parts: string[] = [];
    for await (const part of withProgress(source(), { label: 'x', draw })) {
      parts.push(Buffer.from(part).toString());
    }
    expect(parts).toEqual(['a', 'b']);
  }
});
