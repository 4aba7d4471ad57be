/**
 * Reads tar archives (POSIX ustar and pax, GNU long names) by pulling: nothing is buffered but one
 * header. Of the headers only what a tree needs is taken: name, kind, size.
 *
 * tar-stream, which packs for us, is not used here: its entries are events, and an archive that
 * breaks off, or a taker that leaves an entry unread, ends in a hang or in another error.
 */
import { AegisError } from '../errors.ts';

export interface TarItem {
  readonly name: string;
  /** `other` is named by its type flag, e.g. `2` for a symbolic link. */
  readonly kind: 'file' | 'directory' | 'other';
  readonly flag: string;
  readonly sizeBytes: number;
  /** What has not been read of it is skipped when the next item is asked for. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
/** Longest pax header or GNU long name. */
const EXTENSION_BYTES_MAX = 64 * 1024;
/** Extension headers before one entry. */
const EXTENSIONS_MAX = 8;

const bad = (why: string): AegisError =>
  new AegisError('BAD_DATA', `the tar archive is not usable: ${why}`);

/** @throws {AegisError} `BAD_DATA`, or what `source` throws. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarItem, void> {
  const input = new Input(source[Symbol.asyncIterator]());
  let extension: Extension = {};
  let extensions = 0;
  for (;;) {
    const block = await input.exactly(BLOCK);
    if (isZero(block)) break;
    const header = parseHeader(block);
    const padding = (BLOCK - (header.sizeBytes % BLOCK)) % BLOCK;
    if ('xgLK'.includes(header.flag)) {
      extensions += 1;
      if (extensions > EXTENSIONS_MAX || header.sizeBytes > EXTENSION_BYTES_MAX) {
        throw bad('its headers are too long');
      }
      const content = await input.exactly(header.sizeBytes);
      await input.skip(padding);
      extension = { ...extension, ...parseExtension(header.flag, content) };
      continue;
    }
    const sizeBytes = extension.sizeBytes ?? header.sizeBytes;
    const item = { ...header, name: extension.name ?? header.name, sizeBytes };
    [extension, extensions] = [{}, 0];
    const content = new Content(input, item.kind === 'file' ? sizeBytes : 0);
    yield { ...item, bytes: content.read() };
    await content.finish();
  }
  if (!isZero(await input.exactly(BLOCK))) throw bad('it has no end');
  await input.drain();
}

interface Extension {
  readonly name?: string;
  readonly sizeBytes?: number;
}

/** The bytes of one entry, and the padding after it. */
class Content {
  readonly #input: Input;
  readonly #padding: number;
  #left: number;

  constructor(input: Input, sizeBytes: number) {
    this.#input = input;
    this.#left = sizeBytes;
    this.#padding = (BLOCK - (sizeBytes % BLOCK)) % BLOCK;
  }

  async *read(): AsyncGenerator<Uint8Array, void> {
    while (this.#left > 0) {
      const part = await this.#input.some(this.#left);
      this.#left -= part.byteLength;
      yield part;
    }
  }

  async finish(): Promise<void> {
    await this.#input.skip(this.#left + this.#padding);
    this.#left = 0;
  }
}

/** Pulls exact amounts from chunks of any size. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterator<Uint8Array>) {
    this.#source = source;
  }

  /** At least one byte, at most `max`. */
  async some(max: number): Promise<Uint8Array> {
    while (this.#rest.byteLength === 0) {
      const next = await this.#source.next();
      if (next.done === true) throw bad('it is cut short');
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, max);
    this.#rest = this.#rest.subarray(part.byteLength);
    return part;
  }

  /** The caller limits `size`. */
  async exactly(size: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for (let left = size; left > 0; ) {
      const part = await this.some(left);
      left -= part.byteLength;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  async skip(size: number): Promise<void> {
    for (let left = size; left > 0; ) left -= (await this.some(left)).byteLength;
  }

  /** Archivers fill up their last record; the sender wants to get rid of it. */
  async drain(): Promise<void> {
    while ((await this.#source.next()).done !== true);
  }
}

const isZero = (block: Uint8Array): boolean => block.every((byte) => byte === 0);

function parseHeader(block: Buffer): Omit<TarItem, 'bytes'> {
  // The checksum counts its own field as spaces (POSIX pax, ustar interchange format).
  let sum = 8 * 32;
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte;
  if (number(block, 148, 8) !== sum) throw bad('a header is damaged');
  const flag = String.fromCharCode(block[156] ?? 0);
  const posix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = posix ? text(block, 345, 155) : '';
  const name = prefix === '' ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`;
  const file = flag === '0' || flag === '\0' || flag === '7';
  const kind = file ? 'file' : flag === '5' ? 'directory' : 'other';
  return { name, kind, flag, sizeBytes: number(block, 124, 12) };
}

/** Octal digits, or base 256 when the first bit is set (GNU). */
function number(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    if (field[0] !== 0x80 || !Number.isSafeInteger(value)) throw bad('a number is too large');
    return value;
  }
  const digits = /^[ \0]*([0-7]*)[ \0]*$/.exec(field.toString('latin1'))?.[1];
  if (digits === undefined) throw bad('a number is malformed');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return utf8(end === -1 ? field : field.subarray(0, end));
}

function utf8(bytes: Uint8Array): string {
  const decoded = Buffer.from(bytes).toString('utf8');
  if (Buffer.compare(Buffer.from(decoded), bytes) !== 0) throw bad('a name is not UTF-8');
  return decoded;
}

function parseExtension(flag: string, content: Buffer): Extension {
  if (flag === 'L') return { name: text(content, 0, content.length) };
  return flag === 'x' ? parsePax(content) : {};
}

/** Records of the form `<length> <keyword>=<value>\n`. */
function parsePax(content: Buffer): Extension {
  let found: Extension = {};
  for (let at = 0; at < content.length; ) {
    const digits = /^(\d{1,7}) /.exec(content.toString('latin1', at, at + 8))?.[1];
    const end = at + Number(digits);
    if (digits === undefined || end > content.length || content[end - 1] !== 10) {
      throw bad('a pax header is malformed');
    }
    const record = content.subarray(at + digits.length + 1, end - 1);
    const split = record.indexOf('=');
    const key = record.toString('latin1', 0, Math.max(0, split));
    if (key === 'path') found = { ...found, name: utf8(record.subarray(split + 1)) };
    if (key === 'size')
      found = { ...found, sizeBytes: paxSize(record.toString('latin1', split + 1)) };
    at = end;
  }
  return found;
}

function paxSize(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw bad('a size is malformed');
  return Number(value);
}
