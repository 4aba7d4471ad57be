/**
 * Figures over a private Tor network on this machine. They say what aegis adds to Tor, and nothing
 * about the distances of the public network (O23). `AEGIS_TOR_PARTS=dials`, `lanes` or `cluster`
 * measures one part only.
 */
import type { Figure } from './figures.ts';
import { behindTor } from './tor-cluster.ts';
import { dials } from './tor-dials.ts';
import { lanes } from './tor-lanes.ts';

const PARTS: Readonly<Record<string, () => Promise<Figure[]>>> = {
  dials,
  lanes,
  cluster: behindTor,
};

export async function tor(): Promise<Figure[]> {
  const wanted = (process.env['AEGIS_TOR_PARTS'] ?? 'dials,lanes,cluster').split(',');
  const figures: Figure[] = [];
  for (const name of wanted) {
    const part = PARTS[name];
    if (part === undefined) throw new Error(`no part ${name} of the bench over Tor`);
    figures.push(...(await part()));
  }
  return figures;
}
