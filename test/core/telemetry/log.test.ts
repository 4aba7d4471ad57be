import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLog, type LoggedLine } from '../../../src/core/telemetry/log.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aegis-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const deps = { now: () => Date.UTC(2026, 10, 20, 12) };

it('writes one JSON object a line, named after the room, without secrets', async () => {
  const path = join(directory, 'node.log');
  const log = await createLog({ path }, deps);
  log.child('network').write('warn', 'peer lost', { nodeId: 'aegis1x', token: 'abc' });
  log.write('info', 'line\nbreak');
  log.write('debug', 'not at this level');
  await log.close();
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    {
      level: 'warn',
      time: '2026-11-20T12:00:00.000Z',
      room: 'network',
      fields: { nodeId: 'aegis1x', token: '[redacted]' },
      message: 'peer lost',
    },
    { level: 'info', time: '2026-11-20T12:00:00.000Z', room: 'node', message: 'line\nbreak' },
  ]);
});

it('tells listeners the same lines, and keeps the newest', async () => {
  const log = await createLog({ level: 'debug', recentMax: 2 }, deps);
  const heard: LoggedLine[] = [];
  const silence = log.onLine((line) => heard.push(line));
  for (const word of ['a', 'b', 'c']) log.write('debug', word);
  silence();
  log.write('error', 'd', { error: new Error('why') });
  expect(heard.map((line) => line.message)).toEqual(['a', 'b', 'c']);
  expect(log.recent().map((line) => line.message)).toEqual(['c', 'd']);
  expect(log.recent()[1]?.fields).toMatchObject({ error: { message: 'why' } });
  await log.close();
});

it('has written everything after a synchronous flush', async () => {
  const path = join(directory, 'node.log');
  const log = await createLog({ path }, deps);
  log.write('error', 'last words');
  log.flushSync();
  expect(readFileSync(path, 'utf8')).toContain('last words');
  expect(log.dropped()).toBe(0);
  await log.close();
});
