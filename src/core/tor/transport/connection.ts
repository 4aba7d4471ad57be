/**
 * A libp2p connection over a socket to or from Tor. It knows nothing of who is behind it, sets no
 * idle time-out (the heartbeat decides) and handles neither SOCKS nor limits.
 *
 * Tor has no half-open streams: whoever ends a stream ends both directions of it. So closing sends
 * all that was written, then waits for Tor to end the socket, and takes what still comes meanwhile:
 * a socket that is closed with unread bytes in it is reset, and a reset throws away what the other
 * side has not yet taken.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { AbortOptions, MessageStreamDirection } from '@libp2p/interface';
import { AbstractMultiaddrConnection } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { silentLogger } from '../../silent-logger.ts';
import { TOR_LIMITS } from '../limits.ts';

export interface SocketConnectionInit {
  readonly socket: Socket;
  readonly remoteAddr: Multiaddr;
  readonly direction: MessageStreamDirection;
  /** @default 10,000 */
  readonly closeTimeoutMs?: number;
}

type Data = Parameters<AbstractMultiaddrConnection['sendData']>[0];

export class SocketConnection extends AbstractMultiaddrConnection {
  readonly #socket: Socket;
  readonly #closeTimeoutMs: number;

  constructor({ socket, remoteAddr, direction, closeTimeoutMs }: SocketConnectionInit) {
    super({ remoteAddr, direction, log: silentLogger().forComponent('aegis:tor') });
    this.#socket = socket;
    this.#closeTimeoutMs = closeTimeoutMs ?? TOR_LIMITS.closeTimeoutMs;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.onData(bytes));
    socket.on('error', (error) => this.abort(error));
    socket.on('drain', () => this.safeDispatchEvent('drain'));
    // Tor has ended both directions; what was read before it is with libp2p by now.
    socket.once('end', () => this.onTransportClosed());
    socket.once('close', () => this.onTransportClosed());
    // What SOCKS returns is paused, and stays so when a listener is added.
    socket.resume();
  }

  sendData(data: Data): { sentBytes: number; canSendMore: boolean } {
    const socket = this.#socket;
    // One system call, and full cells where Tor would else send a frame's length in one of its own.
    socket.cork();
    for (const bytes of data) socket.write(bytes);
    socket.uncork();
    return { sentBytes: data.byteLength, canSendMore: !socket.writableNeedDrain };
  }

  /** Bounded: what Tor has not taken until then is lost. */
  override async close(options: AbortOptions = {}): Promise<void> {
    const deadline = AbortSignal.timeout(this.#closeTimeoutMs);
    const signals = options.signal === undefined ? [deadline] : [deadline, options.signal];
    try {
      await super.close({ ...options, signal: AbortSignal.any(signals) });
    } catch (error) {
      this.abort(error as Error);
      throw error;
    }
  }

  async sendClose({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, 'close', { signal });
    this.#socket.end();
    // Where nobody reads any more, what still comes is dropped: the end is behind it.
    if (this.readStatus === 'paused') this.#socket.removeAllListeners('data');
    this.#socket.resume();
    await closed;
  }

  sendReset(): void {
    const socket = this.#socket;
    // A unix socket has no reset, and one that has been ended takes none.
    if (socket.writableEnded || socket.remoteFamily === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }

  sendPause(): void {
    this.#socket.pause();
  }

  sendResume(): void {
    this.#socket.resume();
  }
}
