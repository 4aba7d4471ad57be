import { expect, test } from 'vitest';
import { TOR_LIMITS } from '../../../../src/core/tor/limits.ts';
import { cutCircuits } from '../../../../src/core/tor/onion/cut.ts';
import { fakeTor, linkTo } from '../control/support.ts';

test('a flood of circuits is cut as well: more than commands may wait (O17)', async () => {
  const [ours, other] = ['a'.repeat(56), 'b'.repeat(56)];
  const tor = await fakeTor();
  const rend = (onion: string) => `PURPOSE=HS_SERVICE_REND REND_QUERY=${onion}`;
  const flood = Array.from({ length: TOR_LIMITS.controlCommands + 50 }, (_, i) => i);
  const rest = [`x1 BUILT ${rend(other)}`, `x2 BUILT PURPOSE=HS_SERVICE_INTRO REND_QUERY=${ours}`];
  tor.circuits = [...flood.map((i) => `${i} BUILT ${rend(ours)}`), ...rest];
  const link = linkTo(tor);
  await link.start();
  await cutCircuits(link, ours);
  expect(tor.circuits).toEqual(rest);
});
