/**
 * Y4: the snapshots that this node offers. The tree of the state is persistent, so that an offer
 * costs what has changed since; parts and pages are made when somebody asks for them. The number of
 * offers and their cost are bounded: whoever is too slow for one takes the next.
 */
import { encodeCertificate } from '../consensus/certificate.ts';
import { handoverRow } from './handovers.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import { heightKey, TABLES } from './rows.ts';
import type { Serving } from './serving.ts';
import { cutsOf, type Manifest, pagesOf } from './snapshot.ts';
import type { StateTree } from './state-tree.ts';
import type { SyncMessage } from './sync-messages.ts';
import type { Turn } from './turn.ts';
import type { StoredRow } from './types.ts';

interface Offer {
  readonly height: number;
  readonly header: Uint8Array;
  readonly certificate: Uint8Array;
  readonly leaders: Uint8Array;
  readonly tree: StateTree;
  /** Made when somebody asks. */
  readonly rows: () => StoredRow[];
  pages?: StoredRow[][];
  manifest?: Manifest;
}

type Wanted = Extract<SyncMessage, { type: 'snapshot-want' | 'page-want' | 'part-want' }>;

/** Of a leaf or a row in a message, about. */
const FRAME_BYTES = 48;

export class SnapshotOffers {
  /** Oldest first. */
  #offers: Offer[] = [];
  readonly #headerOf: (height: number) => Uint8Array | undefined;

  /** @param headerOf the header of a height, where it is at hand (Y5). */
  constructor(headerOf: (height: number) => Uint8Array | undefined) {
    this.#headerOf = headerOf;
  }

  /** The height of the latest; 0: there is none. */
  get latest(): number {
    return this.#offers.at(-1)?.height ?? 0;
  }

  /** Whether the latest costs its share, so that it is time for another. */
  get isCostly(): boolean {
    return (this.#offers.at(-1)?.tree.heldBytes ?? 0) > LIMITS.offerBytes / LIMITS.offers;
  }

  /** The state has changed. */
  moved(): void {
    const isMuch = ({ tree }: Offer): boolean => tree.heldBytes > LIMITS.offerBytes;
    if (this.#offers.some(isMuch)) this.#offers = this.#offers.filter((one) => !isMuch(one));
  }

  /** The state at the tip, if its certificate is here. */
  add(ledger: Ledger, leaders: Uint8Array): void {
    const { tip, certificate, tree } = ledger;
    const { height, headerBytes: header } = tip;
    if (header === undefined || certificate?.height !== height || this.latest >= height) return;
    // Both lists only ever grow, so that what they are now can be read later.
    const { handovers, provenRows } = ledger;
    const [handed, proven] = [handovers.length, provenRows.length];
    const rows = (): StoredRow[] => [
      ...handovers.slice(0, handed).map((handover) => ({
        table: TABLES.handovers,
        key: heightKey(handover.height),
        value: handoverRow(handover),
      })),
      ...provenRows.slice(0, proven),
    ];
    const offer = { height, header, certificate: encodeCertificate(certificate), leaders, tree };
    this.#offers = [...this.#offers, { ...offer, rows }].slice(-LIMITS.offers);
  }

  /** What was offered before is not the history any more: another took its place. */
  clear(): void {
    this.#offers = [];
  }

  answer(turn: Turn, serving: Serving, from: string, wanted: Wanted): void {
    serving.answer(turn, from, (now) => this.#answer(now, from, wanted));
  }

  /** @returns the bytes of the answer, about. */
  #answer(turn: Turn, from: string, wanted: Wanted): number {
    const { height } = wanted;
    const offer = this.#offers.find((one) => one.height === height);
    switch (wanted.type) {
      case 'snapshot-want': {
        const manifest = offer && this.#manifest(offer, wanted.checkpoint);
        turn.send([from], { type: 'snapshot', height, manifest });
        return (manifest?.parts.length ?? 0) * FRAME_BYTES;
      }
      case 'page-want': {
        const { index } = wanted;
        const rows = offer && pagesIn(offer)[index];
        turn.send([from], { type: 'page', height, index, rows });
        return sizeOf(rows);
      }
      default: {
        const { prefix } = wanted;
        const weight = offer?.tree.weightUnder(prefix) ?? 0;
        // Nobody who follows the manifest asks for what fits into no message.
        const fits = weight <= LIMITS.messageBytes;
        turn.send([from], {
          ...{ type: 'part', height, prefix },
          leaves: fits ? offer?.tree.leaves(prefix) : undefined,
        });
        return fits ? weight : 0;
      }
    }
  }

  #manifest(offer: Offer, checkpoint: number | undefined): Manifest {
    const { height, header, certificate, leaders, tree } = offer;
    offer.manifest ??= {
      ...{ height, header, certificate, leaders },
      parts: cutsOf(tree),
      pages: pagesIn(offer).length,
    };
    return {
      ...offer.manifest,
      checkpoint: checkpoint === undefined ? undefined : this.#headerOf(checkpoint),
    };
  }
}

function pagesIn(offer: Offer): StoredRow[][] {
  offer.pages ??= pagesOf(offer.rows());
  return offer.pages;
}

const sizeOf = (rows: readonly { readonly value: Uint8Array }[] | undefined): number =>
  rows?.reduce((sum, { value }) => sum + value.length + FRAME_BYTES, 0) ?? 0;
