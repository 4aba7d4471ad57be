import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import { PeerBook } from '../../../src/core/peers/book.ts';
import type { PeerInput, PeerOutcome } from '../../../src/core/peers/book-io.ts';
import { isAddress } from '../../../src/core/peers/record.ts';
import { type RouteRule, routeOf } from '../../../src/core/peers/route.ts';
import { instant } from '../../../src/core/units.ts';

const onionOf = (number: number): string =>
  onionMultiaddr(onionKeyOf(new Uint8Array(32).fill(number)).publicKey);
const ONION = onionOf(1);
const PUBLIC = '/ip4/192.0.2.1/tcp/1';
const NAME = '/dns4/a.example.org/tcp/1';
const LOCAL = [
  '/ip4/10.0.0.1/tcp/1',
  '/ip4/127.0.0.1/tcp/1',
  '/ip6/::1/tcp/1',
  '/ip6/fd00::1/tcp/1',
];
const RULES: readonly RouteRule[] = [
  { mode: 'off', exits: false },
  { mode: 'prefer', exits: true },
  { mode: 'require', exits: false },
  { mode: 'require', exits: true },
];

describe('the route of addresses', () => {
  it.each([
    [RULES[0]!, [PUBLIC, NAME, ...LOCAL]],
    [RULES[1]!, [ONION, PUBLIC, NAME, ...LOCAL]],
    [RULES[2]!, [ONION]],
    [RULES[3]!, [ONION, PUBLIC, NAME]],
  ] as const)('by %o', (rule, wanted) => {
    const all = [PUBLIC, NAME, ONION, ...LOCAL];
    const { allowed, forbidden } = routeOf(all, rule);
    expect(allowed).toEqual(wanted);
    expect(forbidden.map(({ address }) => address)).toEqual(
      all.filter((address) => !allowed.includes(address)),
    );
    expect(forbidden.every(({ reason }) => reason.startsWith('tor.route is '))).toBe(true);
  });

  it('knows what no exit reaches, however it is written', () => {
    const hosts = ['ip4/172.16.0.1', 'ip4/172.31.9.9', 'ip4/192.168.1.1', 'ip4/169.254.1.1'];
    hosts.push('ip4/100.64.0.1', 'ip4/0.0.0.0', 'ip6/::ffff:10.0.0.1', 'ip6/fe80::1', 'ip6/::');
    hosts.push('dns4/localhost', 'dns/printer.local');
    const addresses = hosts.map((host) => `/${host}/tcp/1`);
    expect(routeOf(addresses, RULES[3]!).allowed).toEqual([]);
    const far = ['/ip4/172.32.0.1/tcp/1', '/ip6/2001:db8::1/tcp/1', '/dns4/localhost.org/tcp/1'];
    expect(routeOf(far, RULES[3]!).allowed).toEqual(far);
  });

  it('in require without exits lets nothing through that is no onion service', () => {
    const texts = fc.oneof(fc.string(), fc.constantFrom(PUBLIC, NAME, ONION, ...LOCAL));
    fc.assert(
      fc.property(fc.array(texts), (addresses) => {
        const { allowed } = routeOf(addresses, RULES[2]!);
        expect(allowed.every((address) => address.startsWith('/onion3/'))).toBe(true);
      }),
    );
  });
});

/** A book and what it wants dialled. */
function bookOf(...first: readonly PeerInput[]) {
  const book = new PeerBook({ self: 'm' });
  let now = 1_000_000;
  const step = (input: PeerInput): string[] => {
    now += 1;
    const outcomes = book.step(input, instant(now)).outcomes as PeerOutcome[];
    return outcomes.flatMap((one) => (one.type === 'dial' ? [one.address] : []));
  };
  for (const input of first) step(input);
  const fail = (address: string): string[] =>
    step({ type: 'dial-failed', address, code: 'DIAL_FAILED', message: 'x' });
  /** After any pause. */
  const wake = (): string[] => {
    now += 60_000;
    return step({ type: 'alarm', key: 'peers/dial' });
  };
  return { book, step, fail, wake };
}

const route = (rule: RouteRule): PeerInput => ({ type: 'route', ...rule });
const member = (nodeId: string, ...addresses: string[]): PeerInput => ({
  ...{ type: 'member', nodeId, addresses },
});

describe('the peer book by route', () => {
  it('dials the onion service first, then the others, and the onion again after a loss', () => {
    const { step, fail, wake } = bookOf(route(RULES[1]!));
    expect(step(member('z', PUBLIC, ONION))).toEqual([ONION]);
    fail(ONION);
    expect(wake()).toEqual([PUBLIC]);
    step({ type: 'dialed', address: PUBLIC, nodeId: 'z' });
    step({ type: 'up', nodeId: 'z' });
    step({ type: 'down', nodeId: 'z' });
    expect(wake()).toEqual([ONION]);
  });

  it('in require dials nothing else, and says why', () => {
    const { book, step, wake } = bookOf(route(RULES[2]!));
    expect(step(member('y', PUBLIC, ONION))).toEqual([ONION]);
    expect(step(member('z', PUBLIC))).toEqual([]);
    expect(step({ type: 'retry', nodeId: 'z' })).toEqual([]);
    expect(wake()).toEqual([]);
    expect(book.why('z')).toMatchObject({
      state: 'unknown',
      addresses: [PUBLIC],
      forbidden: [{ address: PUBLIC }],
      lastError: { code: 'ROUTE_FORBIDS' },
    });
    expect(book.why('z')!.lastError!.message).toContain('tor.route is require');
    expect(book.why('y')).toMatchObject({ lastError: undefined, forbidden: [{}] });
  });

  it('dials all at once when the route is another, or when Tor has come back', () => {
    const { step, fail } = bookOf(route(RULES[2]!));
    step(member('y', onionOf(2), PUBLIC));
    step(member('z', onionOf(3)));
    fail(onionOf(2));
    fail(onionOf(3));
    expect(step({ type: 'retry-all' }).toSorted()).toEqual([onionOf(2), onionOf(3)].toSorted());
    fail(onionOf(2));
    fail(onionOf(3));
    expect(step(route(RULES[0]!))).toEqual([PUBLIC]);
  });

  it('has places for slow services that do not keep others waiting (O4)', () => {
    const { step } = bookOf(route(RULES[1]!));
    const dials: string[] = [];
    for (let i = 0; i < 20; i += 1) dials.push(...step(member(`z${i}`, onionOf(10 + i))));
    expect(dials).toHaveLength(16);
    expect(step(member('z', PUBLIC))).toEqual([PUBLIC]);
  });

  it('takes a service in upper case, and none with a wrong checksum or as a name', () => {
    const { book, step } = bookOf(route(RULES[1]!));
    const upper = `/onion3/${ONION.slice(8, 64).toUpperCase()}:4001`;
    expect(step({ type: 'add', address: upper })).toEqual([ONION]);
    expect(book.list().map(({ addresses }) => addresses)).toEqual([[ONION]]);
    const wrong = ONION.replace(/.:/, (last) => (last === 'd:' ? 'e:' : 'd:'));
    const name = `/dns4/${ONION.slice(8, 64)}.onion/tcp/4001`;
    expect([ONION, wrong, name, `${ONION}/tcp/1`, '/onion3/abc:1'].map(isAddress)).toEqual([
      ...[true, false, false, false, false],
    ]);
    expect(step({ type: 'add', address: wrong })).toEqual([]);
  });
});
