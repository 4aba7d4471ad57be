import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base32 } from '../../../../src/core/crypto/base32.ts';
import { onionKeyOf } from '../../../../src/core/crypto/onion.ts';
import { OnionService } from '../../../../src/core/tor/onion/service.ts';
import { memoryLog } from '../../network/cluster.ts';
import { handClock, settle } from './hand-clock.ts';
import { ScriptedLink } from './scripted-link.ts';

const key = onionKeyOf(new Uint8Array(32).fill(1));
const NAME = key.address.slice(0, 56);
const clientKey = (n: number): Uint8Array => new Uint8Array(32).fill(n);

function setUp(options: { pow?: object } = {}) {
  const link = new ScriptedLink(() => NAME);
  const hands = handClock();
  const service = new OnionService(
    { key, port: 4001, target: { path: '/run/t' }, ...options },
    { link, log: memoryLog(), clock: hands.clock },
  );
  return { link, service, ...hands };
}

describe('an onion service', () => {
  test('is made with key, target and clients, and up when a directory has it', async () => {
    const { link, service } = setUp();
    let done = false;
    const published = service.publish([clientKey(1), clientKey(2)]).then(() => (done = true));
    await settle();
    expect(service.status).toMatchObject({ state: 'publishing', clients: 2, uploads: 0 });
    const line = link.services.get(NAME)!;
    expect(
      line
        .split(' ')
        .slice(2)
        .toSorted((a, b) => a.localeCompare(b)),
    ).toEqual([
      `ClientAuthV3=${base32(clientKey(1))}`,
      `ClientAuthV3=${base32(clientKey(2))}`,
      'Flags=DiscardPK,MaxStreamsCloseCircuit,V3Auth',
      'MaxStreams=8',
      'Port=4001,unix:/run/t',
    ]);
    expect(done).toBe(false);
    link.uploaded('x'.repeat(56));
    link.uploaded(NAME, '$A');
    await published;
    link.uploaded(NAME, '$A');
    link.uploaded(NAME, '$B');
    expect(service.status).toMatchObject({
      state: 'published',
      publishedAt: 1_000_000,
      uploads: 2,
    });
  });

  test('asks for proofs of work when told (O20)', async () => {
    const { link, service } = setUp({ pow: { queueRate: 10, queueBurst: 20 } });
    const published = service.publish('open');
    await settle();
    link.uploaded(NAME);
    await published;
    expect(link.services.get(NAME)).toContain(
      'PoWDefensesEnabled=1 PoWQueueRate=10 PoWQueueBurst=20',
    );
  });

  test('is open only when it is said to be: nobody in particular is nobody at all', async () => {
    for (const [clients, isOpen] of [
      ['open', true],
      [[], false],
    ] as const) {
      const { link, service } = setUp();
      const published = service.publish(clients);
      await settle();
      link.uploaded(NAME);
      await published;
      const line = link.services.get(NAME)!;
      expect(line.includes('V3Auth,') || /Flags=\S*V3Auth/.test(line)).toBe(!isOpen);
      expect(/ClientAuthV3=[a-z2-7]{52}/.test(line)).toBe(!isOpen);
      expect(service.status.clients).toBe(isOpen ? 'open' : 0);
    }
  });

  test('takes 256 client keys, and stays as it was when there are more (O15)', async () => {
    const { link, service } = setUp();
    const many = (count: number) => Array.from({ length: count }, (_, n) => clientKey(n));
    await expect(service.publish(many(257))).rejects.toMatchObject({ code: 'ONION_CLIENTS_FULL' });
    expect(link.commands).toEqual([]);
    const published = service.publish(many(256));
    await settle();
    link.uploaded(NAME);
    await published;
    const before = link.services.get(NAME);
    await expect(service.renew(many(257), { cut: false })).rejects.toMatchObject({
      code: 'ONION_CLIENTS_FULL',
    });
    expect(link.services.get(NAME)).toBe(before);
    expect(service.status).toMatchObject({ state: 'published', clients: 256 });
  });

  test('is made anew without those who are let in no more, even if full (O17)', async () => {
    const { link, service } = setUp();
    const keys = Array.from({ length: 258 }, (_, n) =>
      Buffer.alloc(32)
        .fill(n >> 8)
        .fill(n, 16),
    );
    const published = service.publish(keys.slice(0, 256));
    await settle();
    link.uploaded(NAME);
    await published;
    link.circuits.set('1', NAME);
    const renewed = service.renew(keys.slice(1), { cut: true });
    const refused = expect(renewed).rejects.toMatchObject({ code: 'ONION_CLIENTS_FULL' });
    await settle();
    link.uploaded(NAME);
    await refused;
    expect([...link.circuits.keys()]).toEqual([]);
    expect(service.status).toMatchObject({ state: 'published', clients: 255 });
    expect(link.services.get(NAME)).not.toContain(base32(keys[0]!));
    expect(link.services.get(NAME)).toContain(base32(keys[1]!));
  });

  test('ends all circuits of its own, and no others, when it is cut (O17)', async () => {
    const { link, service } = setUp();
    const published = service.publish([clientKey(1)]);
    await settle();
    link.uploaded(NAME);
    await published;
    link.circuits.set('1', NAME).set('2', 'x'.repeat(56)).set('3', NAME);
    let late = true;
    link.before = (line) => {
      // A circuit that was being built while the others ended.
      if (line === 'CLOSECIRCUIT 3' && late) link.circuits.set('4', NAME);
      if (line === 'CLOSECIRCUIT 4') late = false;
      // Nothing is cut while those who may come in can.
      if (line.startsWith('CLOSECIRCUIT')) expect(link.services.has(NAME)).toBe(false);
    };
    const renewed = service.renew([clientKey(2)], { cut: true });
    await settle();
    link.uploaded(NAME);
    await renewed;
    expect([...link.circuits.keys()]).toEqual(['2']);
    expect(link.services.get(NAME)).toContain(base32(clientKey(2)));
    expect(link.services.get(NAME)).not.toContain(base32(clientKey(1)));
    // The next one cuts only if it says so.
    link.circuits.set('5', NAME);
    const again = service.renew([clientKey(2)], { cut: false });
    await settle();
    link.uploaded(NAME);
    await again;
    expect([...link.circuits.keys()]).toEqual(['2', '5']);
  });

  test('stays down rather than up with circuits that must be cut', async () => {
    const { link, service, pass } = setUp();
    const published = service.publish([clientKey(1)]);
    await settle();
    link.uploaded(NAME);
    await published;
    link.circuits.set('1', NAME);
    link.before = (line) => {
      if (line.startsWith('GETINFO')) link.circuits.set('1', NAME);
    };
    await service.renew([], { cut: true });
    expect(link.services.size).toBe(0);
    expect(service.status).toMatchObject({
      state: 'failed',
      why: expect.stringContaining('circuits'),
    });
    link.before = () => undefined;
    link.circuits.set('1', NAME);
    pass(15_000);
    await settle();
    expect(link.circuits.size).toBe(0);
    expect(link.services.size).toBe(1);
  });

  test('cuts when Tor is back, if it was told to while it was gone', async () => {
    const { link, service } = setUp();
    const published = service.publish([clientKey(1)]);
    await settle();
    link.uploaded(NAME);
    await published;
    link.circuits.set('1', NAME);
    link.goDown();
    expect(service.status).toMatchObject({ state: 'down', uploads: 0 });
    await service.renew([clientKey(2)], { cut: true });
    await link.comeUp();
    expect(link.circuits.size).toBe(0);
    expect(link.services.get(NAME)).toContain(base32(clientKey(2)));
    expect(service.status.state).toBe('publishing');
    link.uploaded(NAME);
    expect(service.status.state).toBe('published');
  });

  test('is made for other clients also while the link is just coming up', async () => {
    const { link, service, pass } = setUp();
    link.goDown();
    await service.publish([clientKey(1)]);
    link.almostUp = async () => {
      expect(link.services.get(NAME)).toContain(base32(clientKey(1)));
      const renewed = service.renew([clientKey(2)], { cut: false });
      pass(60_000);
      await renewed;
    };
    await link.comeUp();
    expect(link.services.get(NAME)).toContain(base32(clientKey(2)));
  });

  test('waits for no Tor: it is published when there is one (O3)', async () => {
    const { link, service } = setUp();
    link.goDown();
    await service.publish([clientKey(1)]);
    expect(service.status.state).toBe('down');
    await link.comeUp();
    expect(link.services.has(NAME)).toBe(true);
  });

  test('is tried again when Tor refuses it; soon, when one of before is there', async () => {
    for (const [status, waitMs] of [
      [550, 1000],
      [551, 15_000],
    ] as const) {
      const { link, service, pass } = setUp();
      link.refusals.push(status);
      await service.publish([clientKey(1)]);
      expect(service.status).toMatchObject({ state: 'failed', why: `Tor says ${status}` });
      pass(waitMs - 1);
      await settle();
      expect(link.services.size).toBe(0);
      pass(1);
      await settle();
      expect(link.services.size).toBe(1);
      expect(service.status.state).toBe('publishing');
    }
  });

  test('has failed where directories refuse it, not where a fetch of its own does', async () => {
    const { link, service } = setUp();
    const published = service.publish([clientKey(1)]);
    await settle();
    link.tell(`FAILED ${NAME} NO_AUTH $A x REASON=NOT_FOUND`);
    expect(service.status.state).toBe('publishing');
    link.tell(`FAILED ${NAME} UNKNOWN $A x REASON=UPLOAD_REJECTED`);
    await published;
    expect(service.status.state).toBe('failed');
    link.uploaded(NAME);
    link.tell(`FAILED ${NAME} UNKNOWN $B x REASON=UPLOAD_REJECTED`);
    expect(service.status.state).toBe('published');
  });

  test('counts so many directories, whatever the control port says', async () => {
    const { link, service } = setUp();
    const published = service.publish('open');
    await settle();
    for (let i = 0; i < 100; i += 1) link.uploaded(NAME, `$${i}`);
    await published;
    expect(service.status.uploads).toBe(64);
  });

  test('keeps nobody waiting for ever', async () => {
    const { service, pass, wakes } = setUp();
    const published = service.publish([clientKey(1)]);
    await settle();
    pass(60_000);
    await published;
    expect(service.status.state).toBe('publishing');
    expect(wakes.size).toBe(0);
  });

  test('leaves nothing behind when it is closed, whatever was under way', async () => {
    const { link, service, wakes } = setUp();
    link.refusals.push(551);
    await service.publish([clientKey(1)]);
    const renewed = service.renew([clientKey(2)], { cut: true });
    await service.close();
    await renewed;
    expect(link.services.size).toBe(0);
    expect(link.listeners).toBe(0);
    expect(wakes.size).toBe(0);
    expect(service.status.state).toBe('down');
  });

  test('serves whom it was told last, however renewals and losses of Tor mix', async () => {
    const step = fc.oneof(
      fc.record({ renew: fc.integer({ min: 1, max: 200 }), cut: fc.boolean() }),
      fc.constantFrom('down' as const, 'up' as const, 'wait' as const, 'refuse' as const),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { link, service, pass } = setUp();
        const all: Promise<void>[] = [service.publish([clientKey(0)])];
        let last = 0;
        let circuit = 0;
        const doomed = new Set<string>();
        for (const one of steps) {
          if (one === 'down' && link.state === 'up') link.goDown();
          else if (one === 'up' && link.state === 'down') await link.comeUp();
          else if (one === 'wait') await settle();
          else if (one === 'refuse') link.refusals.push(551);
          else if (typeof one === 'object') {
            last = one.renew;
            circuit += 1;
            link.circuits.set(`${circuit}`, NAME);
            if (one.cut) for (const id of link.circuits.keys()) doomed.add(id);
            all.push(service.renew([clientKey(last)], { cut: one.cut }));
          }
        }
        if (link.state === 'down') await link.comeUp();
        link.refusals.splice(0);
        await settle();
        pass(15_000);
        await settle();
        pass(60_000);
        await Promise.all(all);
        expect(link.services.get(NAME)).toContain(`ClientAuthV3=${base32(clientKey(last))}`);
        for (const id of doomed) expect(link.circuits.has(id)).toBe(false);
        await service.close();
        expect(link.services.size).toBe(0);
        expect(link.listeners).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
