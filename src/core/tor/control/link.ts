/** The persistent control connection (O9). (Being filled.) */
import type { Clock, Log, Random } from '../../ports.ts';
import type { TorEndpoint } from '../endpoint.ts';
import type { CommandOptions, ControlAuth, ControlEvent, ControlReply } from './client.ts';

export type LinkState = 'connecting' | 'up' | 'down' | 'stopped';

export interface TorLinkOptions {
  readonly endpoint: TorEndpoint;
  readonly auth: ControlAuth;
  /** A Tor of our own: it ends when this connection does. */
  readonly takeOwnership?: boolean;
}
export interface TorLinkDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

export class TorLink {
  constructor(_options: TorLinkOptions, _deps: TorLinkDeps) {}

  get state(): LinkState {
    throw new Error('not yet');
  }

  get version(): string {
    throw new Error('not yet');
  }

  /** Rejects when the first attempt fails; the link goes on trying until `stop()`. */
  start(_signal?: AbortSignal): Promise<void> {
    throw new Error('not yet');
  }

  stop(): Promise<void> {
    throw new Error('not yet');
  }

  onState(_listener: (state: LinkState) => void): () => void {
    throw new Error('not yet');
  }

  command(_line: string, _options?: CommandOptions): Promise<ControlReply> {
    throw new Error('not yet');
  }

  getInfo(..._keys: string[]): Promise<Record<string, string>> {
    throw new Error('not yet');
  }

  getConf(_key: string): Promise<string[]> {
    throw new Error('not yet');
  }

  setConf(_record: Readonly<Record<string, string>>): Promise<void> {
    throw new Error('not yet');
  }

  on(_type: string, _listener: (event: ControlEvent) => void): () => void {
    throw new Error('not yet');
  }

  restore(_name: string, _job: () => Promise<void>): () => void {
    throw new Error('not yet');
  }
}
