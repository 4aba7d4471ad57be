/** Colours by the contract: NO_COLOR, FORCE_COLOR, --no-color, TERM=dumb, the stream written to. */
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Colour = keyof typeof CODES;
export type Colours = Readonly<Record<Colour, (text: string) => string>>;

/** Whether to colour what goes to a stream. */
export function wantsColour(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  if (env['NO_COLOR']) return false;
  const forced = env['FORCE_COLOR'] ?? env['CLICOLOR_FORCE'];
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** The painter for a stream. With `off`, or where no colour is wanted, it returns plain text. */
export function coloursFor(
  stream: { readonly isTTY?: boolean },
  options: { off?: boolean; env?: Readonly<Record<string, string | undefined>> } = {},
): Colours {
  const on = !options.off && wantsColour(stream, options.env ?? process.env);
  const painter = (code: number) => (text: string) =>
    on ? `\u001b[${code}m${text}\u001b[0m` : text;
  return {
    bold: painter(CODES.bold),
    dim: painter(CODES.dim),
    red: painter(CODES.red),
    green: painter(CODES.green),
    yellow: painter(CODES.yellow),
    cyan: painter(CODES.cyan),
  };
}
