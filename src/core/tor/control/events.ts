/**
 * Who hears which events of Tor. The union of all types is asked for, again on each connection. It
 * asks for nothing that this Tor does not know: one unknown name would refuse them all.
 */
import { assert } from '../../assert.ts';
import type { Log } from '../../ports.ts';
import type { ControlClient, ControlEvent } from './client.ts';
import { infoOf } from './text.ts';

type Listener = (event: ControlEvent) => void;

/** Hundreds a second on a busy Tor; nothing here needs it. */
const FORBIDDEN = 'CIRC_BW';

export class Events {
  version = '';
  readonly #log: Log;
  readonly #listeners = new Map<string, Set<Listener>>();
  #client: ControlClient | undefined;
  #known: ReadonlySet<string> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  on(type: string, listener: Listener): () => void {
    assert(/^[A-Z_]{1,40}$/.test(type) && type !== FORBIDDEN, 'an event that may be asked for');
    const all = this.#listeners.get(type) ?? new Set();
    all.add(listener);
    if (all.size === 1) {
      this.#listeners.set(type, all);
      this.#askAgain();
    }
    return () => {
      if (!all.delete(listener) || all.size > 0) return;
      this.#listeners.delete(type);
      this.#askAgain();
    };
  }

  /** Hears a new connection, in place of the one of before. */
  async attach(client: ControlClient): Promise<void> {
    const info = infoOf(await client.command('GETINFO events/names'), ['events/names']);
    this.#known = new Set(info['events/names']!.split(' '));
    this.#client = client;
    this.version = client.version;
    client.onEvent((event) => this.#tell(event));
    // Also with none: a listener that comes later asks for itself.
    await this.#ask(client);
  }

  #askAgain(): void {
    const client = this.#client;
    if (client === undefined) return;
    // The commands go out in order, so the last one holds. One that fails does so with the
    // connection, and on the next one all are asked for again.
    this.#ask(client).catch((error: Error) => {
      this.#log.write('debug', 'events of Tor were not asked for', { error: error.message });
    });
  }

  async #ask(client: ControlClient): Promise<void> {
    const wanted = [...this.#listeners.keys()];
    const unknown = wanted.filter((type) => !this.#known.has(type));
    if (unknown.length > 0) this.#log.write('warn', 'this Tor has no such events', { unknown });
    const types = wanted.filter((type) => this.#known.has(type));
    await client.command(['SETEVENTS', ...types].join(' '));
  }

  /** A listener that throws has a bug: it is told, and keeps nothing from the others. */
  #tell(event: ControlEvent): void {
    for (const listener of this.#listeners.get(event.type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        const { message } = error as Error;
        this.#log.write('error', 'who hears Tor has failed', { type: event.type, error: message });
      }
    }
  }
}
