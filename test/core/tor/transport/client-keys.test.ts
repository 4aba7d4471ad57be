import { describe, expect, test } from 'vitest';
import { AegisError } from '../../../../src/core/errors.ts';
import { KeyTrials } from '../../../../src/core/tor/transport/client-keys.ts';

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const ADDRESS = 'x.onion';

/** A Tor that has one key for the address, and a service that knows some. */
function setUp(right: readonly number[]) {
  const tor = {
    key: 0,
    right: new Set(right),
    dials: 0,
    installs: [] as number[],
    atOnce: 0,
    most: 0,
  };
  const keys = new KeyTrials({
    install: async (address, secret) => {
      expect(address).toBe(ADDRESS);
      tor.installs.push(secret[0]!);
      tor.key = secret[0]!;
    },
  });
  let hold: Promise<void> = Promise.resolve();
  const dial = async (): Promise<number> => {
    tor.dials += 1;
    tor.atOnce += 1;
    tor.most = Math.max(tor.most, tor.atOnce);
    await hold;
    tor.atOnce -= 1;
    if (tor.right.has(tor.key)) return tor.key;
    throw new AegisError('ONION_AUTH', 'the client key is wrong');
  };
  const dropped: number[] = [];
  const drop = (value: number): void => void dropped.push(value);
  const run = (secrets: readonly number[], signal = new AbortController().signal) =>
    keys.dial({ address: ADDRESS, secrets: secrets.map(key), signal, dial, drop });
  return { tor, run, dropped, hold: (until: Promise<void>) => void (hold = until) };
}

describe('client keys of one service (O13, O14)', () => {
  test('are tried in their order until one is right, which is kept', async () => {
    const { tor, run } = setUp([3]);
    expect(await run([1, 2, 3, 4])).toBe(3);
    expect(tor.installs).toEqual([1, 2, 3]);
    expect(await run([1, 2, 3, 4])).toBe(3);
    expect(tor.installs).toEqual([1, 2, 3]);
  });

  test('are none where the service is open', async () => {
    const { tor, run } = setUp([0]);
    expect(await run([])).toBe(0);
    expect(tor.installs).toEqual([]);
  });

  test('all wrong: the last refusal is told', async () => {
    const { tor, run } = setUp([9]);
    await expect(run([1, 2])).rejects.toMatchObject({ code: 'ONION_AUTH' });
    expect(tor.installs).toEqual([1, 2]);
  });

  test('are tried anew when the service has others, or Tor has lost them', async () => {
    const { tor, run } = setUp([1]);
    await run([1, 2]);
    tor.right = new Set([2]);
    expect(await run([1, 2])).toBe(2);
    tor.key = 0;
    expect(await run([2])).toBe(2);
    expect(tor.installs).toEqual([1, 1, 2, 2]);
  });

  test('are installed again after any failure: Tor may be another one', async () => {
    const { tor, run } = setUp([1]);
    await run([1]);
    tor.right = new Set();
    await expect(run([1])).rejects.toMatchObject({ code: 'ONION_AUTH' });
    tor.right = new Set([1]);
    tor.key = 0;
    expect(await run([1])).toBe(1);
  });

  test('are tried by one dial, and the others use what it finds', async () => {
    const { tor, run, hold } = setUp([2]);
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const all = Array.from({ length: 8 }, () => run([1, 2]));
    await new Promise(setImmediate);
    expect(tor.dials).toBe(1);
    gate.resolve();
    expect(await Promise.all(all)).toEqual(Array.from({ length: 8 }, () => 2));
    expect(tor.installs).toEqual([1, 2]);
    // Once it is known, nobody waits for anybody.
    const second = Promise.withResolvers<void>();
    hold(second.promise);
    const more = [run([1, 2]), run([1, 2])];
    await new Promise(setImmediate);
    expect(tor.atOnce).toBe(2);
    second.resolve();
    await Promise.all(more);
  });

  test('a dial that is given up waits for nobody, and takes no turn', async () => {
    const { tor, run, hold } = setUp([1]);
    const gate = Promise.withResolvers<void>();
    hold(gate.promise);
    const first = run([1]);
    const stop = new AbortController();
    const second = run([1], stop.signal);
    stop.abort(new Error('given up'));
    await expect(second).rejects.toThrow('given up');
    gate.resolve();
    expect(await first).toBe(1);
    await new Promise(setImmediate);
    expect(tor.dials).toBe(1);
  });

  test('a dial that is given up as it goes through leaves nothing open', async () => {
    for (const secrets of [[1], []]) {
      const { run, hold, dropped } = setUp([1, 0]);
      const gate = Promise.withResolvers<void>();
      hold(gate.promise);
      const stop = new AbortController();
      const dial = run(secrets, stop.signal);
      await new Promise(setImmediate);
      gate.resolve();
      stop.abort(new Error('given up'));
      await expect(dial).rejects.toThrow('given up');
      await new Promise(setImmediate);
      expect(dropped).toHaveLength(1);
    }
  });

  test('are wiped when the dial is done with them, whatever came of it', async () => {
    const install = async (): Promise<void> => undefined;
    const keys = new KeyTrials({ install });
    const { signal } = new AbortController();
    const trial = { address: ADDRESS, signal, drop: () => undefined };
    const refused = new AegisError('ONION_AUTH', 'no');
    for (const end of [async () => 1, async () => Promise.reject(refused)]) {
      const secrets = [key(1), key(2)];
      await keys.dial({ ...trial, secrets, dial: end }).catch(() => undefined);
      expect(secrets).toEqual([key(0), key(0)]);
    }
  });

  test('are remembered for so many services, and found out again for others', async () => {
    const installs: string[] = [];
    const keys = new KeyTrials({
      install: async (address) => {
        installs.push(address);
      },
    });
    const dial = (address: string) =>
      keys.dial({
        address,
        secrets: [key(1)],
        signal: new AbortController().signal,
        dial: async () => true,
        drop: () => undefined,
      });
    for (let i = 0; i <= 1024; i += 1) await dial(`${i}.onion`);
    await dial('1024.onion');
    await dial('1.onion');
    expect(installs).toHaveLength(1025);
    await dial('0.onion');
    expect(installs.at(-1)).toBe('0.onion');
    expect(installs).toHaveLength(1026);
  });
});
