/** Tells whoever starts a node how far its Tor is, in sentences, until it is ready (O8). */
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
  if (state === 'down') return why === undefined ? undefined : `Tor: ${why.message}`;
  if (bootstrap === undefined) return undefined;
  const { percent, summary, warning } = bootstrap;
  return `Tor: ${percent} %, ${summary}${warning === undefined ? '' : ` (${warning})`}`;
}
