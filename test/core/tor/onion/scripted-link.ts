/**
 * A link to a Tor that does what the test says. It knows services and circuits, takes commands in
 * their order, and forgets its services when the connection ends, as Tor does.
 */
import { AegisError } from '../../../../src/core/errors.ts';
import type { ControlEvent } from '../../../../src/core/tor/control/client.ts';
import type { LinkState } from '../../../../src/core/tor/control/link.ts';
import type { OnionDeps } from '../../../../src/core/tor/onion/service.ts';

type Link = OnionDeps['link'];

export class ScriptedLink implements Link {
  state: LinkState = 'up';
  readonly commands: string[] = [];
  /** By address, the line that made it. */
  readonly services = new Map<string, string>();
  /** Rendezvous circuits, by id: whose. */
  readonly circuits = new Map<string, string>();
  /** Status with which the next ADD_ONION are refused. */
  readonly refusals: number[] = [];
  /** Before each command; a test makes it wait. */
  before: (line: string) => Promise<void> | void = () => undefined;
  /** After a service was made. */
  added: (onion: string) => void = () => undefined;
  /** When everything is restored, before it says that it is up. */
  almostUp: () => Promise<void> | void = () => undefined;
  /** The address of what ADD_ONION makes. */
  readonly addressOf: (key: string) => string;
  readonly #events = new Set<(event: ControlEvent) => void>();
  readonly #states = new Set<(state: LinkState) => void>();
  readonly #jobs = new Set<() => Promise<void>>();

  constructor(addressOf: (key: string) => string) {
    this.addressOf = addressOf;
  }

  on(type: string, listener: (event: ControlEvent) => void): () => void {
    if (type !== 'HS_DESC') throw new Error(`nobody tells ${type} here`);
    this.#events.add(listener);
    return () => this.#events.delete(listener);
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#states.add(listener);
    return () => this.#states.delete(listener);
  }

  restore(_name: string, job: () => Promise<void>): () => void {
    this.#jobs.add(job);
    if (this.state === 'up') void job();
    return () => this.#jobs.delete(job);
  }

  get listeners(): number {
    return this.#events.size + this.#states.size + this.#jobs.size;
  }

  async command(line: string) {
    if (this.state === 'down') throw new AegisError('TOR_UNREACHABLE', 'Tor is not there');
    this.commands.push(line);
    await this.before(line);
    const [verb, argument = ''] = line.split(' ');
    const text = this.#answer(verb!, argument, line);
    return { lines: [{ code: 250, text }] };
  }

  async getInfo(key: string): Promise<Record<string, string>> {
    await this.command(`GETINFO ${key}`);
    const lines = [...this.circuits].map(
      ([id, onion]) => `${id} BUILT $AA PURPOSE=HS_SERVICE_REND REND_QUERY=${onion}`,
    );
    return { [key]: lines.join('\n') };
  }

  tell(text: string): void {
    for (const listener of this.#events) listener({ type: 'HS_DESC', text, lines: [] });
  }

  /** A directory takes the descriptor. */
  uploaded(onion: string, directory = '$A'): void {
    this.tell(`UPLOADED ${onion} UNKNOWN ${directory}`);
  }

  goDown(): void {
    this.services.clear();
    this.#set('down');
  }

  /** Resolves when everything is restored. */
  async comeUp(): Promise<void> {
    this.#set('connecting');
    for (const job of this.#jobs) await job();
    await this.almostUp();
    this.#set('up');
  }

  #set(state: LinkState): void {
    this.state = state;
    for (const listener of this.#states) listener(state);
  }

  #answer(verb: string, argument: string, line: string): string {
    if (verb === 'ADD_ONION') {
      const refusal = this.refusals.shift();
      if (refusal !== undefined) throw refused(refusal);
      const onion = this.addressOf(argument);
      if (this.services.has(onion)) throw refused(550);
      this.services.set(onion, line);
      this.added(onion);
      return `ServiceID=${onion}`;
    }
    if (verb === 'DEL_ONION' && !this.services.delete(argument)) throw refused(552);
    if (verb === 'CLOSECIRCUIT' && !this.circuits.delete(argument)) throw refused(552);
    return 'OK';
  }
}

const refused = (status: number): AegisError =>
  new AegisError('TOR_FAILED', `Tor says ${status}`, { details: { status } });
