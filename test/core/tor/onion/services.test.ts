import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { base32 } from '../../../../src/core/crypto/base32.ts';
import { type OnionKey, onionKeyOf } from '../../../../src/core/crypto/onion.ts';
import type { OnionClients } from '../../../../src/core/tor/onion/service.ts';
import { OnionServices } from '../../../../src/core/tor/onion/services.ts';
import { memoryLog } from '../../network/cluster.ts';
import { handClock, settle } from './hand-clock.ts';
import { ScriptedLink } from './scripted-link.ts';

const keys = [1, 2, 3].map((n) => onionKeyOf(new Uint8Array(32).fill(n)));
const nameOf = (key: OnionKey): string => key.address.slice(0, 56);
const names = new Map(
  keys.map((key) => [
    `ED25519-V3:${Buffer.from(key.expandedSecret).toString('base64')}`,
    nameOf(key),
  ]),
);
const [first, second, third] = keys as [OnionKey, OnionKey, OnionKey];
const grace = { graceMs: 500 };
const clientKey = (text: string) => createHash('sha256').update(text).digest();

let dir: string;
let link: ScriptedLink;
let hands: ReturnType<typeof handClock>;
let services: OnionServices;
let clientsOf: (key: OnionKey) => OnionClients;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aegis-onions-'));
  link = new ScriptedLink((key) => names.get(key)!);
  // Directories take everything at once.
  link.added = (onion) => queueMicrotask(() => link.uploaded(onion));
  hands = handClock();
  clientsOf = (key) => [clientKey(`${key.address} 1`)];
  services = new OnionServices(
    { target: { path: join(dir, 't') }, socketsMax: 8 },
    { link, log: memoryLog(), clock: hands.clock, clientsOf: (key) => clientsOf(key) },
  );
  await services.open();
});
afterEach(async () => {
  await services.close();
  expect(link.listeners).toBe(0);
  expect(hands.wakes.size).toBe(0);
  await rm(dir, { recursive: true });
});

const up = (): string[] => [...link.services.keys()];

describe('the onion services of a node', () => {
  test('all hand on to one socket', async () => {
    await services.use(first);
    await services.use(second, { graceMs: 1000 });
    for (const line of link.services.values()) expect(line).toContain(`Port=4001,unix:${dir}/t`);
    expect(up()).toEqual([nameOf(first), nameOf(second)]);
  });

  test('of before stay for their grace, then end (O18)', async () => {
    await services.use(first);
    expect(services.list()).toMatchObject([{ isCurrent: true, state: 'published' }]);
    await services.use(second, { graceMs: 1000 });
    expect(services.current?.address).toBe(second.address);
    const [now, before] = services.list();
    expect(now).toMatchObject({ address: second.address, isCurrent: true });
    expect(before).toMatchObject({ address: first.address, isCurrent: false });
    expect(before!.until! - hands.clock.now()).toBe(1000);
    hands.pass(999);
    await settle();
    expect(up()).toEqual([nameOf(first), nameOf(second)]);
    hands.pass(1);
    await settle();
    expect(up()).toEqual([nameOf(second)]);
  });

  test('of before end at once without a grace, and whenever they are told to', async () => {
    await services.use(first);
    await services.use(second);
    expect(up()).toEqual([nameOf(second)]);
    await services.use(third, { graceMs: 1000 });
    await services.end(second.publicKey);
    expect(up()).toEqual([nameOf(third)]);
    await services.end(third.publicKey);
    expect(services.current).toBeUndefined();
  });

  test('of before are kept after a restart for what is left of their grace', async () => {
    await services.keep(first, { graceMs: 500 });
    expect(services.current).toBeUndefined();
    await services.use(second);
    await services.keep(first, { graceMs: 500 });
    expect(services.list().map(({ address }) => address)).toEqual([second.address, first.address]);
    hands.pass(500);
    await settle();
    expect(up()).toEqual([nameOf(second)]);
  });

  test('can go back to a key of before, which then has no end', async () => {
    await services.use(first);
    await services.use(second, { graceMs: 1000 });
    await services.use(first, { graceMs: 2000 });
    hands.pass(1000);
    await settle();
    expect(services.current?.address).toBe(first.address);
    expect(up().toSorted()).toEqual([nameOf(first), nameOf(second)].toSorted());
  });

  test('have keys of their own: the caller may wipe his, and theirs go with them', async () => {
    const seen: Uint8Array[] = [];
    clientsOf = ({ expandedSecret }) => {
      seen.push(expandedSecret);
      return 'open';
    };
    const given = onionKeyOf(new Uint8Array(32).fill(1));
    const key = { ...given, expandedSecret: Buffer.from(given.expandedSecret) };
    const used = services.use(key);
    key.expandedSecret.fill(0);
    await used;
    link.goDown();
    await link.comeUp();
    expect(up()).toEqual([nameOf(first)]);
    await services.use(key);
    await services.end(first.publicKey);
    for (const secret of seen) expect(secret.every((byte) => byte === 0)).toBe(true);
  });

  test('that no directory has taken yet keep neither the next nor the end waiting', async () => {
    link.added = () => undefined;
    const kept = services.keep(third, grace);
    const published = [services.use(first), services.use(second), kept];
    await services.end(second.publicKey);
    expect(up()).toEqual([nameOf(third)]);
    await services.close();
    await Promise.all(published);
    expect(up()).toEqual([]);
  });

  test('are not touched when the same key is used again', async () => {
    await services.use(first);
    const { length } = link.commands;
    await services.use(first, { graceMs: 1000 });
    expect(link.commands).toHaveLength(length);
  });

  test('are made anew each for its own clients', async () => {
    await services.use(first);
    await services.use(second, { graceMs: 1000 });
    clientsOf = (key) => [clientKey(`${key.address} 2`)];
    await services.renew({ cut: true });
    for (const key of [first, second]) {
      expect(link.services.get(nameOf(key))).toContain(base32(clientKey(`${key.address} 2`)));
    }
  });

  test('stay as they were when there are too many clients (O15)', async () => {
    await services.use(first);
    clientsOf = () => Array.from({ length: 257 }, (_, n) => clientKey(`${n}`));
    await expect(services.use(second)).rejects.toMatchObject({ code: 'ONION_CLIENTS_FULL' });
    await expect(services.renew({ cut: false })).rejects.toMatchObject({
      code: 'ONION_CLIENTS_FULL',
    });
    expect(services.list()).toMatchObject([{ address: first.address, state: 'published' }]);
    expect(up()).toEqual([nameOf(first)]);
  });

  test('tell of every change', async () => {
    const states: (string | undefined)[] = [];
    services.onChange(() => states.push(services.current?.state));
    await services.use(first);
    link.goDown();
    await link.comeUp();
    await settle();
    await services.end(first.publicKey);
    expect(states.filter((state, at) => state !== states[at - 1])).toEqual([
      'publishing',
      'published',
      'down',
      'published',
      undefined,
    ]);
  });
});
