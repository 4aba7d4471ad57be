import { expect, test } from 'vitest';
import { Dialing } from '../../../src/core/network/dialing.ts';
import { type HostLimits, limitsOf } from '../../../src/core/network/limits.ts';
import { instant } from '../../../src/core/units.ts';

function setUp(limits: Partial<HostLimits>) {
  const time = { now: 1_000_000 };
  const dialed: string[] = [];
  const dialing = new Dialing(
    { limits: limitsOf('network', limits) },
    {
      clock: { now: () => instant(time.now), wakeAt: () => () => undefined },
      dial: (address) => {
        dialed.push(address.toString());
        return Promise.reject(new Error('nobody is there'));
      },
      nodeIdOf: () => undefined,
      ownerOf: () => undefined,
      isMeant: () => true,
      isConnected: () => false,
      dialledAt: () => undefined,
      isOwn: () => false,
      classOf: () => 'direct',
    },
  );
  const dial = (address: string): Promise<unknown> =>
    dialing.dial(address, { timeoutMs: 1000 }).catch((error: unknown) => error);
  return { dial, dialed, time };
}

test('dials to one host are so many a second, whatever the port', async () => {
  const { dial, dialed, time } = setUp({ dialsPerSecondPerAddress: 2 });
  const errors: unknown[] = [];
  for (let i = 0; i < 20; i += 1) errors.push(await dial(`/ip4/192.0.2.1/tcp/${4000 + i}`));
  // Four times as many at once.
  expect(dialed).toHaveLength(8);
  expect(errors.at(-1)).toMatchObject({
    code: 'BUSY',
    details: { knob: 'limits.dialsPerSecondPerAddress' },
  });
  await dial('/ip4/192.0.2.2/tcp/4001');
  expect(dialed).toHaveLength(9);
  time.now += 1000;
  for (let i = 0; i < 5; i += 1) await dial(`/ip4/192.0.2.1/tcp/${4000 + i}`);
  expect(dialed).toHaveLength(11);
});

test('dials in all are so many a second', async () => {
  const { dial, dialed } = setUp({ dialsPerSecond: 3 });
  const errors: unknown[] = [];
  for (let i = 0; i < 20; i += 1) errors.push(await dial(`/ip4/192.0.2.${i}/tcp/4001`));
  expect(dialed).toHaveLength(12);
  expect(errors.at(-1)).toMatchObject({ details: { knob: 'limits.dialsPerSecond' } });
});
