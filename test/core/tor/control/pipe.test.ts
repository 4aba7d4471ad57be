/** The queue of commands, with a Tor that this test plays itself. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { ControlPipe } from '../../../../src/core/tor/control/pipe.ts';
import { TOR_LIMITS } from '../../../../src/core/tor/limits.ts';

/** @returns a pipe, and the side of Tor. */
async function pipeTo(
  options: { hangMs?: number } = {},
): Promise<{ pipe: ControlPipe; tor: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  const [tor] = (await once(server, 'connection')) as [Socket];
  server.close();
  const pipe = new ControlPipe(socket, { place: 'here', ...options });
  onTestFinished(() => {
    pipe.close();
    tor.destroy();
  });
  return { pipe, tor };
}

const textOf = ({ lines }: { lines: readonly { text: string }[] }) => lines[0]!.text;

test('replies go to their commands, in order, whatever became of those before', async () => {
  const { pipe, tor } = await pipeTo();
  const given = pipe.command('A', { timeoutMs: 10 });
  await expect(given).rejects.toMatchObject({ code: 'TIMEOUT' });
  const stop = new AbortController();
  const stopped = pipe.command('B', { signal: stop.signal });
  const refused = pipe.command('C');
  const last = pipe.command('D');
  stop.abort(new Error('no'));
  await expect(stopped).rejects.toThrow('no');
  tor.write('250 a\r\n250 b\r\n552 c\r\n250 d\r\n');
  await expect(refused).rejects.toThrow('Tor refused C (552): c');
  expect(textOf(await last)).toBe('d');
});

test('any order of giving up and refusing leaves each reply at its command', async () => {
  const { pipe, tor } = await pipeTo();
  const fates = fc.array(fc.constantFrom('answered', 'refused', 'given up'), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fates, async (all) => {
      const stop = new AbortController();
      const done = all.map((fate, i) => {
        const options = fate === 'given up' ? { signal: stop.signal } : {};
        return pipe.command(`GETINFO ${i}`, options).then(textOf, (error: Error) => error.message);
      });
      stop.abort(new Error('given up'));
      tor.write(all.map((fate, i) => `${fate === 'refused' ? 552 : 250} ${i}\r\n`).join(''));
      const wanted = all.map((fate, i) => {
        if (fate === 'given up') return fate;
        return fate === 'refused' ? `Tor refused GETINFO (552): ${i}` : String(i);
      });
      expect(await Promise.all(done)).toEqual(wanted);
    }),
    { numRuns: 30 },
  );
});

test('hang: a first command without reply ends the connection, and all that wait', async () => {
  const { pipe } = await pipeTo({ hangMs: 30 });
  const waiting = [pipe.command('B'), pipe.command('C')];
  for (const one of waiting) await expect(one).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  expect((await pipe.closed).message).toContain('it has not answered B for');
});

test('data goes out dotted, between a plus and a point', async () => {
  const { pipe, tor } = await pipeTo();
  const reply = pipe.command('LOADCONF', { data: 'a\n.b' });
  const [bytes] = (await once(tor, 'data')) as [Buffer];
  expect(bytes.toString()).toBe('+LOADCONF\r\na\r\n..b\r\n.\r\n');
  tor.write('250 OK\r\n');
  await reply;
});

test('a command is one line, and not a long one', async () => {
  const { pipe } = await pipeTo();
  expect(() => pipe.command('GETINFO x\r\nSIGNAL HALT')).toThrow('one line');
  const long = 'x'.repeat(TOR_LIMITS.controlCommandBytes);
  expect(() => pipe.command(long)).toThrow('not so long');
});

test('so many commands wait and no more', async () => {
  const { pipe, tor } = await pipeTo();
  const all = Array.from({ length: TOR_LIMITS.controlCommands }, () => pipe.command('A'));
  await expect(pipe.command('B')).rejects.toMatchObject({ code: 'TOR_BUSY' });
  tor.write('250 OK\r\n'.repeat(all.length));
  await Promise.all(all);
});

test.each([
  ['a reply to nothing', '250 OK\r\n', 'reply to nothing'],
  ['another protocol', 'hello\r\n', 'a line has no status'],
])('%s ends the connection', async (_, bytes, message) => {
  const { pipe, tor } = await pipeTo();
  tor.write(bytes);
  expect((await pipe.closed).message).toContain(message);
});

test('hostile bytes end the connection or change nothing', async () => {
  const bytes = fc.array(
    fc.constantFrom('2', '5', '6', '0', ' ', '-', '+', '.', '\r\n', '\0', 'ü'),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (all) => {
      const { pipe, tor } = await pipeTo();
      tor.end(Buffer.from(all.join(''), 'latin1'));
      expect((await pipe.closed).code).toBe('TOR_UNREACHABLE');
    }),
    { numRuns: 20 },
  );
});

test('what was said before the end is heard, and the end is told to all', async () => {
  const { pipe, tor } = await pipeTo();
  const [first, second] = [pipe.command('A'), pipe.command('B')];
  tor.end('250 a\r\n');
  expect(textOf(await first)).toBe('a');
  await expect(second).rejects.toThrow('Tor ended the connection');
});
