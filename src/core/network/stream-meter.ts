/**
 * Charges members for what they say on the protocols of libp2p (identify, ping, Kademlia), whose
 * handlers answer as much as they are asked. Ours charge by themselves.
 */
import type { Stream, StreamMuxer } from '@libp2p/interface';
import type { Clock } from '../ports.ts';
import { Brake } from './brake.ts';

/** What we know of a stream of @libp2p/yamux; its version is pinned. */
interface YamuxStream {
  onData?: (data: { readonly byteLength: number }) => void;
}

export interface StreamMeterDeps {
  readonly clock: Clock;
  /** Whether a protocol charges for itself. */
  isMetered(protocol: string): boolean;
  /** @returns for how long the stream is not to be read. */
  charge(requests: number): number;
}

/** About as long as the shortest message of Kademlia; several may come in one frame. */
const REQUEST_BYTES = 64;

export function meterStreams<M extends StreamMuxer>(muxer: M, deps: StreamMeterDeps): M {
  const inner = muxer as { onRemoteStream?: (stream: Stream) => void };
  const onRemoteStream = inner.onRemoteStream?.bind(muxer);
  if (onRemoteStream === undefined) return muxer;
  inner.onRemoteStream = (stream) => {
    meter(stream, deps);
    onRemoteStream(stream);
  };
  return muxer;
}

/** Not by a listener: a stream keeps what comes until the first one is there. */
function meter(stream: Stream, deps: StreamMeterDeps): void {
  const inner = stream as YamuxStream;
  const onData = inner.onData?.bind(stream);
  if (onData === undefined) return;
  const brake = new Brake(stream, deps);
  inner.onData = (data) => {
    onData(data);
    if (deps.isMetered(stream.protocol)) return;
    const waitMs = deps.charge(Math.ceil(data.byteLength / REQUEST_BYTES));
    if (waitMs > 0) brake.rest(waitMs);
  };
}
