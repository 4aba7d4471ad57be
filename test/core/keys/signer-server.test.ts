/** The protocol against a signer that is a real process: limits, versions, and nonsense. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { RemoteRing } from '../../../src/core/keys/signer-client.ts';
import { encodeRequest, frameOf } from '../../../src/core/keys/signer-frames.ts';
import { SIGNER_CONNECTIONS_MAX, SIGNER_RATE_MAX } from '../../../src/core/keys/signer-server.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { withDirectory } from '../../helpers/keystores.ts';
import { testNode } from '../../helpers/nodes.ts';
import {
  type RawSigner,
  rawSigner,
  silentLog,
  socketIn,
  startSigner,
  vote,
} from './support/signer.ts';
import { signerServer } from './support/signer-parts.ts';

/** Each test starts a process, on a machine that may have other work. */
vi.setConfig({ testTimeout: 60_000 });

const { keys, signer } = testNode(1);
const describeRequest = {
  op: 'describe',
  key: new Uint8Array(),
  payload: new Uint8Array(),
} as const;
const voteRequest = { op: 'vote', key: keys.consensusKey, payload: vote(1) } as const;

const withSigner = (use: (raw: RawSigner, path: string) => Promise<void>): Promise<void> =>
  withDirectory(async (dir) => {
    await startSigner(dir);
    const raw = await rawSigner(socketIn(dir));
    onTestFinished(() => raw.close());
    await use(raw, socketIn(dir));
  });

const refused = (refusal: string) => ({ type: 'refused', refusal });

describe('refusals never end the connection', () => {
  test('each is told as what it is', () =>
    withSigner(async (raw) => {
      const { key, payload } = voteRequest;
      const nonsense = Buffer.from('aegis/possession/1\0');
      expect(await raw.ask(voteRequest)).toMatchObject({ type: 'done' });
      expect(await raw.ask({ op: 'vote', key, payload: vote(1, 0, 'b') })).toMatchObject(
        refused('DOUBLE_SIGN'),
      );
      expect(await raw.ask({ op: 'vote', key, payload: nonsense })).toMatchObject(
        refused('BAD_FORM'),
      );
      expect(await raw.ask({ op: 'vote', key: keys.vrfKey, payload })).toMatchObject(
        refused('UNKNOWN_KEY'),
      );
      // A key is for one thing.
      expect(await raw.ask({ op: 'sign', key, payload })).toMatchObject(refused('UNKNOWN_KEY'));
      const identity = { op: 'sign', key: signer.publicKey } as const;
      expect(await raw.ask({ ...identity, payload })).toMatchObject(refused('BAD_FORM'));
      expect(await raw.askRaw(Buffer.from('no cbor'))).toMatchObject(refused('BAD_FORM'));
      expect(await raw.askRaw(encode(['exec', key, payload]))).toMatchObject(refused('BAD_FORM'));
      expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
    }));

  test('another version of the protocol', () =>
    withSigner(async (raw) => {
      const frame = frameOf(1, encodeRequest(describeRequest));
      frame[4] = 2;
      expect(await raw.write(frame)).toMatchObject(refused('BAD_FORM'));
      expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
    }));

  test('more requests than anybody needs', () =>
    withDirectory(async (dir) => {
      let timeMs = 0;
      const server = signerServer(dir, 1, { now: () => timeMs });
      await once(server.net.listen(socketIn(dir)), 'listening');
      const raw = await rawSigner(socketIn(dir));
      for (let n = 0; n < SIGNER_RATE_MAX; n += 1) {
        expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
      }
      expect(await raw.ask(describeRequest)).toMatchObject(refused('RATE'));
      expect(await raw.ask(voteRequest)).toMatchObject(refused('RATE'));
      timeMs += 1000 / SIGNER_RATE_MAX;
      expect(await raw.ask(voteRequest)).toMatchObject({ type: 'done' });
      expect(await raw.ask(voteRequest)).toMatchObject(refused('RATE'));
      raw.close();
      await server.close();
    }));
});

test('who reads no answers is let go', () =>
  withSigner(async (raw, path) => {
    const deaf = connect({ path });
    deaf.on('error', () => {});
    const frame = frameOf(1, encodeRequest(describeRequest));
    const closed = new Promise((resolve) => deaf.once('close', resolve));
    for (let n = 0; n < 64; n += 1) deaf.write(Buffer.concat(Array<Uint8Array>(500).fill(frame)));
    deaf.pause();
    await closed;
    expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
  }));

test('when its keys change it tells every node', () =>
  withDirectory(async (dir) => {
    const server = signerServer(dir, 1);
    await once(server.net.listen(socketIn(dir)), 'listening');
    const ring = await RemoteRing.open({ socket: socketIn(dir) }, { log: silentLog });
    expect(ring.votes(keys.consensusKey)).toBeDefined();
    server.announce({ ...ring.description!, consensus: [new Uint8Array(48).fill(9)] });
    while (ring.votes(keys.consensusKey) !== undefined) await setImmediate();
    expect(ring.heldConsensusKeys()).toEqual(['09'.repeat(48)]);
    await ring.close();
    await server.close();
  }));

test('what is no frame ends its connection, and no other', () =>
  withSigner(async (raw, path) => {
    const other = await rawSigner(path);
    expect(await other.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
    expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
  }));

test('there is a limit to connections', () =>
  withSigner(async (raw, path) => {
    const others = await Promise.all(
      Array.from({ length: SIGNER_CONNECTIONS_MAX - 1 }, () => rawSigner(path)),
    );
    for (const other of others) expect(await other.ask(describeRequest)).toBeDefined();
    const late = connect({ path });
    late.on('error', () => {});
    await once(late, 'close');
    expect(await raw.ask(describeRequest)).toMatchObject({ type: 'done' });
    for (const other of others) other.close();
  }));
