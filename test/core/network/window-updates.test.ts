import type { Stream, StreamMuxer } from '@libp2p/interface';
import { expect, test } from 'vitest';
import { sparseWindowUpdates } from '../../../src/core/network/window-updates.ts';

const ESTABLISHED = 3;
const OPENING = 2;

/** A muxer with streams like those of yamux, which write down each update that is sent. */
function muxerOf(sent: string[]) {
  const opened: Stream[] = [];
  const streamOf = (name: string) => ({
    state: OPENING,
    recvWindow: 1000,
    recvWindowCapacity: 1000,
    sendWindowUpdate(): void {
      sent.push(name);
      this.recvWindowCapacity = this.recvWindow;
    },
    receive(bytes: number): void {
      this.recvWindowCapacity -= bytes;
      this.sendWindowUpdate();
    },
  });
  const own = streamOf('own');
  const remote = streamOf('remote');
  const inner = {
    onCreateStream: () => own as unknown as Stream,
    createStream: () => Promise.resolve(inner.onCreateStream()),
    onRemoteStream: (stream: Stream) => void opened.push(stream),
  };
  const muxer = sparseWindowUpdates(inner as unknown as StreamMuxer);
  return { muxer, inner, own, remote, opened };
}

test('an update is sent when half of the window is used, on streams of both sides', async () => {
  const sent: string[] = [];
  const { muxer, inner, own, remote, opened } = muxerOf(sent);
  expect(await muxer.createStream()).toBe(own);
  inner.onRemoteStream(remote as unknown as Stream);
  expect(opened).toEqual([remote]);
  for (const stream of [own, remote]) {
    stream.state = ESTABLISHED;
    for (let n = 0; n < 4; n += 1) stream.receive(100);
    expect(sent).toEqual([]);
    stream.receive(100);
    expect(sent.splice(0)).toHaveLength(1);
    expect(stream.recvWindowCapacity).toBe(1000);
  }
});

test('what opens a stream is always sent', async () => {
  const sent: string[] = [];
  const { muxer, own } = muxerOf(sent);
  await muxer.createStream();
  own.receive(1);
  expect(sent).toEqual(['own']);
});

test('a connection that closes while a stream is opened ends nothing else', async () => {
  const { muxer, own } = muxerOf([]);
  const failing = (name: string) => (): void => {
    throw Object.assign(new Error('Cannot write to a stream that is closed'), { name });
  };
  own.sendWindowUpdate = failing('StreamStateError');
  await muxer.createStream();
  // As yamux does it, in a microtask of its own.
  expect(() => own.sendWindowUpdate()).not.toThrow();
  own.sendWindowUpdate = failing('InvalidFrameError');
  await muxer.createStream();
  expect(() => own.sendWindowUpdate()).toThrow('closed');
});
