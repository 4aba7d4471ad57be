/**
 * Puts lines together to replies and events (control-spec 2.3). An event may come between the lines
 * of a reply. It knows no connection, and not which command a reply is for.
 */
import { AegisError } from '../../errors.ts';
import { TOR_LIMITS } from '../limits.ts';

export interface ControlLine {
  readonly code: number;
  readonly text: string;
  /** What came between `+` and the point, its lines joined with LF. */
  readonly data?: string;
}

export interface ControlReply {
  readonly lines: readonly ControlLine[];
}

export interface ControlEvent {
  /** Such as `CIRC`. */
  readonly type: string;
  /** What follows the type in the first line. */
  readonly text: string;
  readonly lines: readonly ControlLine[];
}

/** Each line of an answer costs this much more than it has. */
const LINE_COST_BYTES = 16;

interface Draft {
  readonly lines: ControlLine[];
  bytes: number;
}

/** While lines are data: where they belong, and what they are. */
interface Data {
  readonly draft: Draft;
  readonly code: number;
  readonly text: string;
  readonly lines: string[];
}

const newDraft = (): Draft => ({ lines: [], bytes: 0 });

export class ReplyReader {
  readonly #on: { reply(reply: ControlReply): void; event(event: ControlEvent): void };
  readonly #maxBytes: number;
  #reply = newDraft();
  #event = newDraft();
  #data: Data | undefined;

  constructor(
    on: { reply(reply: ControlReply): void; event(event: ControlEvent): void },
    maxBytes: number = TOR_LIMITS.controlReplyBytes,
  ) {
    this.#on = on;
    this.#maxBytes = maxBytes;
  }

  /** @throws {AegisError} `BAD_ENCODING` for what is no line of this protocol, `TOO_LARGE`. */
  line(line: string): void {
    if (this.#data !== undefined) return this.#dataLine(this.#data, line);
    const found = /^([2-6][0-9]{2})([-+ ])/.exec(line);
    if (found === null) throw new AegisError('BAD_ENCODING', 'a line has no status');
    const code = Number(found[1]);
    const text = line.slice(4);
    const draft = code >= 600 ? this.#event : this.#reply;
    this.#charge(draft, line);
    if (found[2] === '+') {
      this.#data = { draft, code, text, lines: [] };
      return;
    }
    draft.lines.push({ code, text });
    if (found[2] === ' ') this.#end(draft);
  }

  #dataLine(data: Data, line: string): void {
    if (line !== '.') {
      this.#charge(data.draft, line);
      data.lines.push(line.startsWith('.') ? line.slice(1) : line);
      return;
    }
    this.#data = undefined;
    const { code, text, lines } = data;
    data.draft.lines.push({ code, text, data: lines.join('\n') });
  }

  #charge(draft: Draft, line: string): void {
    draft.bytes += line.length + LINE_COST_BYTES;
    if (draft.bytes <= this.#maxBytes) return;
    this.#data = undefined;
    this.#reply = newDraft();
    this.#event = newDraft();
    throw new AegisError('TOO_LARGE', `an answer has more than ${this.#maxBytes} bytes`);
  }

  #end(draft: Draft): void {
    const { lines } = draft;
    if (draft === this.#reply) {
      this.#reply = newDraft();
      this.#on.reply({ lines });
      return;
    }
    this.#event = newDraft();
    const [type = '', ...words] = lines[0]!.text.split(' ');
    this.#on.event({ type, text: words.join(' '), lines });
  }
}
