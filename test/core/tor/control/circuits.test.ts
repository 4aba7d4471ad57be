import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  circuits,
  parseCircuit,
  proofOfWork,
  streams,
} from '../../../../src/core/tor/control/circuits.ts';
import { fakeTor, linkTo } from './support.ts';

const ONION = 'a'.repeat(56);
const FINGERPRINT = 'AB'.repeat(20);

test('circuits and streams as Tor 0.4.9.11 writes them', async () => {
  const tor = await fakeTor();
  tor.circuits = [
    `10 BUILT $${FINGERPRINT}~relay2,$${FINGERPRINT} BUILD_FLAGS=IS_INTERNAL,NEED_CAPACITY ` +
      'PURPOSE=CONFLUX_LINKED TIME_CREATED=2026-11-21T22:00:00.500000 SOCKS_USERNAME="pe\\"er" ' +
      'SOCKS_PASSWORD="secret" CONFLUX_ID=77 CONFLUX_RTT=32169',
    `11 BUILT $${FINGERPRINT}~r PURPOSE=HS_SERVICE_REND HS_STATE=HSSR_JOINED REND_QUERY=${ONION}`,
    '12 LAUNCHED PURPOSE=GENERAL',
    '',
    '; drop it BUILT',
  ];
  tor.streams = ['29 SUCCEEDED 10 127.0.0.1:35505', 'broken'];
  const link = linkTo(tor);
  await link.start();
  const all = await circuits(link);
  expect(all).toEqual([
    {
      ...{ id: '10', status: 'BUILT', purpose: 'CONFLUX_LINKED' },
      path: [{ fingerprint: FINGERPRINT, nickname: 'relay2' }, { fingerprint: FINGERPRINT }],
      flags: ['IS_INTERNAL', 'NEED_CAPACITY'],
      createdAt: Date.UTC(2026, 10, 21, 22, 0, 0, 500),
      ...{ socksUsername: 'pe"er', confluxId: '77' },
    },
    {
      ...{ id: '11', status: 'BUILT', purpose: 'HS_SERVICE_REND', flags: [] },
      path: [{ fingerprint: FINGERPRINT, nickname: 'r' }],
      ...{ hsState: 'HSSR_JOINED', onion: ONION },
    },
    { id: '12', status: 'LAUNCHED', path: [], purpose: 'GENERAL', flags: [] },
  ]);
  expect(JSON.stringify(all)).not.toContain('secret');
  expect(await streams(link)).toEqual([
    { id: '29', status: 'SUCCEEDED', circuit: '10', target: '127.0.0.1:35505' },
  ]);
});

test('proof of work: Tor works on it, has sent it, or there is none', async () => {
  const tor = await fakeTor({ fault: 'pow' });
  tor.showProofOfWork(ONION);
  const link = linkTo(tor);
  await link.start();
  const solving = await circuits(link);
  expect(proofOfWork(solving, ONION)).toBe('solving');
  expect(proofOfWork(solving, 'b'.repeat(56))).toBe('no');
  expect(proofOfWork(solving.slice(0, 1), ONION)).toBe('no');
  const sent = parseCircuit(`9 BUILT x PURPOSE=HS_CLIENT_REND REND_QUERY=${ONION} HS_POW=v1,54`)!;
  expect(sent.powEffort).toBe(54);
  expect(proofOfWork([sent], ONION)).toBe('sent');
  // The proofs of others for our own service.
  expect(proofOfWork([{ ...sent, purpose: 'HS_SERVICE_REND' }], ONION)).toBe('no');
});

test('any line is a circuit of plain text, or none', () => {
  const words = fc.array(
    fc.oneof(fc.string(), fc.constantFrom('1', 'BUILT', 'PURPOSE="', 'A="\\', '$')),
  );
  fc.assert(
    fc.property(words, (all) => {
      const circuit = parseCircuit(all.join(' '));
      if (circuit !== undefined) expect(JSON.stringify(circuit)).toMatch(/^[\x20-\x7e]*$/);
    }),
  );
});
