/** All pages, in the order of their number keys. A new page is one more entry here. */
import { consensusPage } from './panes/consensus.ts';
import { kbPage } from './panes/kb.ts';
import { overviewPage } from './panes/overview.ts';
import { peersPage } from './panes/peers.ts';
import { torPage } from './panes/tor.ts';
import type { Page, PageId } from './view.ts';

export const PAGES: readonly Page[] = [overviewPage, peersPage, kbPage, consensusPage, torPage];

export const pageOf = (id: PageId): Page => PAGES.find((page) => page.id === id) ?? overviewPage;
