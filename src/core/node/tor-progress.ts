/** Tells whoever starts a node how far its Tor is, in sentences, until it is ready (O8). */
import type { BootstrapStatus } from '../tor/control/bootstrap.ts';
import type { StartOptions } from './opening.ts';
import type { TorRoom } from './tor-room.ts';

export class TorProgress {
  readonly #tell: StartOptions['onTor'];
  #said = '';
  #isDone = false;

  constructor({ onTor }: Pick<StartOptions, 'onTor'>) {
    this.#tell = onTor;
  }

  tell(tor: Pick<TorRoom, 'state' | 'bootstrap' | 'why'>): void {
    const text = this.#isDone ? undefined : textOf(tor);
    if (text === undefined || text === this.#said) return;
    this.#said = text;
    this.#isDone = tor.state === 'ready';
    this.#tell?.(text);
  }
}

function textOf({
  state,
  bootstrap,
  why,
}: Pick<TorRoom, 'state' | 'bootstrap' | 'why'>): string | undefined {
  if (state === 'off') return undefined;
  if (state === 'starting') return 'Tor: it is being reached';
  if (state === 'ready') return 'Tor: it is ready';
  // A start that fails says why by its error.
  if (bootstrap === undefined) return undefined;
  if (state === 'down') return why === undefined ? undefined : `Tor: ${why.message}`;
  return `Tor: ${phaseText(bootstrap)}`;
}

export const phaseText = ({ percent, summary, warning }: BootstrapStatus): string =>
  `${percent} %, ${summary}${warning === undefined ? '' : ` (${warning})`}`;
