/**
 * The whole screen as rows: header, tabs, banner, page or overlay, footer. Pure: the same state
 * gives the same rows. Draws nothing itself.
 */
import { span as spanText } from './format.ts';
import { footerOf, helpOf } from './keys.ts';
import { type Layout, layoutOf } from './layout.ts';
import {
  BLANK,
  cutLine,
  fill,
  type Line,
  line,
  lineWidth,
  type Span,
  span,
  spread,
  type Tone,
} from './line.ts';
import { PAGES, pageOf } from './pages.ts';
import { selected } from './state.ts';
import { fit } from './text.ts';
import { isStale, type Page, type State } from './view.ts';

/** Exactly as many rows as the terminal has, none wider than it. */
export function frame(state: State): Line[] {
  const layout = layoutOf(state);
  const { columns, rows } = state.size;
  const out: Line[] = [header(state, layout)];
  if (layout.tabs) out.push(tabs(state, columns));
  if (layout.banner) out.push(banner(state, columns));
  const body = fill(bodyOf(state, layout), layout.body.rows);
  out.push(...(isStale(state) ? body.map(faded) : body));
  if (layout.footer) out.push(footer(state, columns));
  return fill(out, rows).map((row) => cutLine(row, columns));
}

const NODE_TONE: Readonly<Record<string, Tone>> = {
  starting: 'warn',
  ready: 'good',
  stopping: 'warn',
};

function header(state: State, layout: Layout): Line {
  const { node } = state.shown;
  const left: Span[] = [span('aegis', 'strong')];
  if (node !== undefined) {
    left.push(span(`  ${node.name}`, 'accent'));
    if (!layout.narrow) left.push(span(`  ${node.clusterName ?? 'no cluster'}`));
    const word = isStale(state) ? 'not answering' : node.state;
    left.push(span(`  ${word}`, isStale(state) ? 'bad' : (NODE_TONE[node.state] ?? 'plain')));
  }
  if (!layout.tabs)
    left.push(span(`  ${layout.narrow ? state.page : pageOf(state.page).title}`, 'strong'));
  return spread(left, age(state, layout), layout.body.columns);
}

/** How old the newest data is, so that a still picture is never taken for a live one. */
function age(state: State, { narrow }: Layout): Line {
  const { heardAtMs } = state.link;
  const text =
    heardAtMs === 0
      ? 'no data yet'
      : `${narrow ? '' : 'data '}${spanText(state.nowMs - heardAtMs)} old`;
  const shown = span(text, isStale(state) ? 'warn' : 'faint');
  return state.paused ? [span('PAUSED', 'warn'), span('  '), shown] : [shown];
}

const tabs = (state: State, columns: number): Line => {
  const short = columns < PAGES.reduce((sum, page) => sum + page.title.length + 5, 0);
  return PAGES.flatMap((page, i) => {
    const text = ` ${i + 1} ${short ? page.id : page.title} `;
    return [span(text, page.id === state.page ? 'selected' : 'plain'), span(' ')];
  });
};

function banner(state: State, columns: number): Line {
  const { link, nowMs } = state;
  const inMs = link.nextAtMs - nowMs;
  const next = link.live || inMs < 1000 ? 'now' : `in ${spanText(inMs)}`;
  const tries = link.attempts > 0 ? `, attempt ${link.attempts}` : '';
  const why = link.reason === '' ? '' : `: ${link.reason}`;
  const words =
    link.heardAtMs === 0 && link.attempts === 0
      ? 'connecting to the daemon'
      : `daemon not answering, retrying ${next}${tries}${why}`;
  return line(fit(` ${words}`, columns), 'bad');
}

/** What is stale is dimmed; the bar of the selection stays to be found. */
const faded = (row: Line): Line =>
  row.map((part) => (part.tone === 'selected' ? part : { text: part.text, tone: 'faint' }));

function bodyOf(state: State, { body }: Layout): Line[] {
  const page = pageOf(state.page);
  if (state.mode === 'help') return help(state, page, body.rows);
  const key = state.detail ? selected(state) : undefined;
  if (key !== undefined && page.detail !== undefined) return page.detail(state, key, body);
  return page.body(state, body);
}

function help(state: State, page: Page, rows: number): Line[] {
  const keys = helpOf(page, PAGES.length);
  const mode = state.readonly ? 'read-only: this monitor changes nothing' : page.title;
  const close = 'any other key closes this';
  const scrolls = keys.length + 2 > rows ? 'j and k scroll, ' : '';
  return [
    [span(`KEYS  (${mode})  `, 'strong'), span(`${scrolls}${close}`, 'faint')],
    BLANK,
    ...keys
      .slice(state.helpTop)
      .map(({ label, help: text }): Line => [span(fit(label, 13), 'accent'), span(text)]),
  ];
}

function footer(state: State, columns: number): Line {
  const filter = state.lists[state.page]?.filter ?? '';
  if (state.mode === 'filter') {
    return spread(
      [span('/', 'accent'), span(`${filter}_`)],
      [span('Enter keeps', 'faint')],
      columns,
    );
  }
  if (state.notice !== undefined) return line(state.notice.text, 'good');
  const out: Span[] = [];
  if (filter !== '') out.push(span(`filter "${filter}" (Esc clears)`, 'warn'));
  const back = state.detail || state.mode === 'help' ? [{ key: 'Esc', word: 'back' }] : [];
  for (const { key, word } of [...back, ...footerOf(pageOf(state.page))]) {
    const next = [span(`${out.length > 0 ? '  ' : ''}${key}`, 'accent'), span(` ${word}`, 'faint')];
    // A key without its word would only puzzle; all keys are in the help.
    if (lineWidth(out) + lineWidth(next) > columns) break;
    out.push(...next);
  }
  return out;
}
