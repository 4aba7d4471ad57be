/** What kind of terminal the person sits at. */

/** Whether aegis may ask a question: both ends are a terminal, and nobody forbade it. */
export const mayAsk = (noInput: boolean): boolean =>
  !noInput && !process.env['CI'] && process.stdin.isTTY && process.stderr.isTTY;

/** Whether to draw progress on standard error. */
export const mayDraw = (options: { quiet: boolean; json: boolean }): boolean =>
  !options.quiet && !options.json && process.stderr.isTTY && process.env['TERM'] !== 'dumb';
