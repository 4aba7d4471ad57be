/**
 * Fewer window updates. @libp2p/yamux answers every data frame with one, so that a vote of 300
 * bytes costs two system calls and two decryptions at either end. A reader has room until half of
 * its window is used, and says so only then, as the yamux of Go does. And one that finds the
 * connection closed is no error: yamux sends that which opens a stream where nobody catches it, so
 * that a peer that hung up at that moment would end this process.
 */
import type { Stream, StreamMuxer } from '@libp2p/interface';

/** What we know of a stream of @libp2p/yamux; its version is pinned. */
interface YamuxStream {
  state?: unknown;
  recvWindow?: unknown;
  recvWindowCapacity?: unknown;
  sendWindowUpdate?: unknown;
}

interface YamuxMuxer {
  onRemoteStream?: (stream: Stream) => void;
  onCreateStream?: (options: unknown) => Stream;
}

/** `StreamState.Established`. In all other states an update opens the stream, or is not sent. */
const ESTABLISHED = 3;

export function sparseWindowUpdates<M extends StreamMuxer>(muxer: M): M {
  const inner = muxer as YamuxMuxer;
  const onRemoteStream = inner.onRemoteStream?.bind(muxer);
  // Not by its event: whoever listens takes over the streams that came before.
  if (onRemoteStream !== undefined) {
    inner.onRemoteStream = (stream) => {
      makeSparse(stream);
      onRemoteStream(stream);
    };
  }
  const onCreateStream = inner.onCreateStream?.bind(muxer);
  if (onCreateStream !== undefined) {
    inner.onCreateStream = (options) => {
      const stream = onCreateStream(options);
      makeSparse(stream);
      return stream;
    };
  }
  return muxer;
}

function makeSparse(stream: Stream): void {
  const inner = stream as YamuxStream;
  const send = inner.sendWindowUpdate;
  if (typeof send !== 'function') return;
  inner.sendWindowUpdate = (): void => {
    const { state, recvWindow, recvWindowCapacity } = inner;
    const hasRoom = Number(recvWindowCapacity) > Number(recvWindow) / 2;
    if (state === ESTABLISHED && hasRoom) return;
    try {
      Reflect.apply(send, stream, []);
    } catch (error) {
      // Whoever reads or writes the stream hears that its connection has ended.
      if ((error as Error).name !== 'StreamStateError') throw error;
    }
  };
}
