/**
 * Fewer window updates. @libp2p/yamux answers every data frame with one, so that a vote of 300
 * bytes costs two system calls and two decryptions at either end. A reader has room until half of
 * its window is used, and says so only then, as the yamux of Go does.
 */
import type { Stream, StreamMuxer } from '@libp2p/interface';

/** What we know of a stream of @libp2p/yamux; its version is pinned. */
interface YamuxStream {
  state?: unknown;
  recvWindow?: unknown;
  recvWindowCapacity?: unknown;
  sendWindowUpdate?: unknown;
}

/** `StreamState.Established`. In all other states an update opens the stream, or is not sent. */
const ESTABLISHED = 3;

export function sparseWindowUpdates<M extends StreamMuxer>(muxer: M): M {
  const inner = muxer as { onRemoteStream?: (stream: Stream) => void };
  const onRemoteStream = inner.onRemoteStream?.bind(muxer);
  // Not by its event: whoever listens takes over the streams that came before.
  if (onRemoteStream !== undefined) {
    inner.onRemoteStream = (stream) => {
      makeSparse(stream);
      onRemoteStream(stream);
    };
  }
  const create = muxer.createStream.bind(muxer);
  muxer.createStream = async (options) => {
    const stream = await create(options);
    makeSparse(stream);
    return stream;
  };
  return muxer;
}

function makeSparse(stream: Stream): void {
  const inner = stream as YamuxStream;
  const send = inner.sendWindowUpdate;
  if (typeof send !== 'function') return;
  inner.sendWindowUpdate = (): void => {
    const { state, recvWindow, recvWindowCapacity } = inner;
    const hasRoom = Number(recvWindowCapacity) > Number(recvWindow) / 2;
    if (state !== ESTABLISHED || !hasRoom) Reflect.apply(send, stream, []);
  };
}
