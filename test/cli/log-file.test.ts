import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { coloursFor } from '../../src/cli/colour.ts';
import { followLog, lastLines, lineText, parseSecurityLine } from '../../src/cli/log-file.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aegis-'));
  path = join(directory, 'node.log');
});
afterEach(() => rmSync(directory, { recursive: true }));

const line = (message: string): string =>
  `${JSON.stringify({ level: 'info', time: '2026-11-20T12:00:00.000Z', room: 'kb', message })}\n`;
const every = (): boolean => true;
const messages = (records: readonly { message: string }[]): string[] =>
  records.map(({ message }) => message);

it('reads the last lines, over rotations, the oldest first', async () => {
  writeFileSync(`${path}.2`, line('1') + line('2'));
  writeFileSync(`${path}.1`, line('3') + line('ä'));
  writeFileSync(path, line('5'));
  expect(messages((await lastLines(path, 2, every)).records)).toEqual(['ä', '5']);
  expect(messages((await lastLines(path, 4, every)).records)).toEqual(['2', '3', 'ä', '5']);
  expect(messages((await lastLines(path, 99, every)).records)).toHaveLength(5);
  const odd = await lastLines(path, 2, ({ message }) => message !== 'ä');
  expect(messages(odd.records)).toEqual(['3', '5']);
  expect((await lastLines(path, 0, every)).records).toEqual([]);
});

it('reads lines that are longer than a piece, and shows what is not a line of ours', async () => {
  const long = 'x'.repeat(200_000);
  writeFileSync(path, `${line(long)}not JSON\n{"half":`);
  const { records } = await lastLines(path, 9, every);
  expect(messages(records)).toEqual([long, 'not JSON', '{"half":']);
  expect(records[1]).toMatchObject({ room: '?' });
});

it('says that there is no log', async () => {
  await expect(lastLines(path, 1, every)).rejects.toMatchObject({ code: 'NOT_FOUND', exit: 66 });
});

it('follows new lines over a rotation', async () => {
  writeFileSync(path, line('old'));
  const { position } = await lastLines(path, 1, every);
  const done = new AbortController();
  const following = followLog(path, position, done.signal);
  const next = async (): Promise<string> => (await following.next()).value?.message ?? 'end';
  appendFileSync(path, line('one') + line('two').slice(0, 10));
  expect(await next()).toBe('one');
  appendFileSync(path, line('two').slice(10));
  expect(await next()).toBe('two');
  appendFileSync(path, line('three'));
  renameSync(path, `${path}.1`);
  writeFileSync(path, line('four'));
  expect([await next(), await next()]).toEqual(['three', 'four']);
  done.abort();
  expect(await next()).toBe('end');
});

it('shows a line without letting it touch the terminal', () => {
  const record = {
    time: '2026-11-20T12:00:00.000Z',
    level: 'warn',
    room: 'network',
    message: 'peer \u001b[2J lost',
    fields: { nodeId: 'aegis1x', list: [1, 2] },
  };
  const text = lineText(record, coloursFor(process.stdout, { off: true }));
  expect(text).toBe(
    '2026-11-20T12:00:00.000Z warn  network   peer \\u001b[2J lost nodeId=aegis1x list=[1,2]',
  );
});

it('shows an event of the security log as a line', async () => {
  const event = { time: '2026-11-20T12:00:00.000Z', event: 'peer-cut', nodeId: 'aegis1a' };
  writeFileSync(path, `${JSON.stringify(event)}\nnot JSON\n`);
  const { records } = await lastLines(path, 9, every, parseSecurityLine);
  expect(records).toMatchObject([
    { time: event.time, room: 'security', message: 'peer-cut', fields: { nodeId: 'aegis1a' } },
    { room: '?', message: 'not JSON' },
  ]);
  expect(lineText(records[0]!, coloursFor(process.stdout, { off: true }))).toContain(
    'peer-cut nodeId=aegis1a',
  );
});
