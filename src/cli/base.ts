/**
 * The base of every command: parses, runs `work()`, prints what it returned.
 * It does not know any capability of aegis, and loads nothing heavy: what a command may not need is
 * imported when it is asked for. Errors are thrown through; `run.ts` presents them, once.
 */
import { Command, Config, type Interfaces } from '@oclif/core';
import type { Client } from '../core/api/client/client.ts';
import { clusterNamed } from '../core/config/clusters.ts';
import { type HomePaths, resolveHome } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { type Colours, coloursFor } from './colour.ts';
import { globalFlags } from './flags.ts';
import { Interruption } from './interruption.ts';
import { mayAsk } from './terminal.ts';

export { confirmFlags, passphraseFlags, proofFlags } from './flags.ts';

/** What a command returns: one JSON object that names its schema, or nothing when it streamed. */
export type Result = { readonly schema: string } | undefined;

export type FlagsOf<T extends typeof Command> = Interfaces.InferredFlags<
  typeof globalFlags & T['flags']
>;
export type ArgsOf<T extends typeof Command> = Interfaces.InferredArgs<T['args']>;

/** @default for `--timeout`. */
const TIMEOUT_MS = 30_000;

export abstract class BaseCommand<
  T extends typeof Command,
  R extends Result = Result,
> extends Command {
  static override readonly baseFlags = globalFlags;

  protected flags!: FlagsOf<T>;
  protected args!: ArgsOf<T>;
  /** Colours for standard output; they paint nothing where the contract says so. */
  protected paint!: Colours;
  readonly #interruption = new Interruption();

  /** Does the work and returns the object that `--json` prints. */
  protected abstract work(): Promise<R>;

  /** The same result for people; `undefined` prints nothing. */
  protected abstract view(result: NonNullable<R>): string | undefined;

  /** Like oclif's own, without loading a configuration that is loaded already. */
  static override async run<C extends Command>(
    this: new (
      argv: string[],
      config: Config,
    ) => C,
    argv: string[] = process.argv.slice(2),
    options?: Interfaces.LoadOptions,
  ): Promise<ReturnType<C['run']>> {
    const config = options instanceof Config ? options : await Config.load(options);
    const command = new this(argv, config) as C & { _run(): Promise<ReturnType<C['run']>> };
    return await command._run();
  }

  override async init(): Promise<void> {
    const { flags, args } = await this.parse({
      flags: this.ctor.flags,
      baseFlags: globalFlags,
      args: this.ctor.args,
      strict: this.ctor.strict,
    });
    // The types say that a boolean is always there; oclif leaves out one that was not given.
    const off = Object.entries({ ...globalFlags, ...this.ctor.flags })
      .filter(([, flag]) => flag.type === 'boolean')
      .map(([name]) => [name, false] as const);
    this.flags = { ...Object.fromEntries(off), ...flags } as FlagsOf<T>;
    this.args = args as ArgsOf<T>;
    this.paint = coloursFor(process.stdout, { off: this.#global['no-color'] || this.json });
    this.#interruption.listen();
  }

  override async run(): Promise<R> {
    const result = await this.work();
    if (result !== undefined) this.#print(result);
    return result;
  }

  protected override catch(error: Error): Promise<never> {
    return Promise.reject(error);
  }

  protected override finally(): Promise<void> {
    this.#interruption.close();
    return Promise.resolve();
  }

  get #global(): FlagsOf<typeof Command> {
    return this.flags;
  }

  /** Whether the caller wants JSON. */
  protected get json(): boolean {
    return this.#global.json;
  }

  /** The paths of this node's home, and in it of the cluster that is meant. Cheap. */
  protected home(): HomePaths {
    const { home, cluster } = this.#global;
    return resolveHome({ home, env: process.env, cluster: clusterNamed(cluster) });
  }

  /** `--timeout`, else what the command thinks right, else 30 s. */
  protected timeoutMs(fallbackMs: number = TIMEOUT_MS): number {
    return this.#global.timeout ?? fallbackMs;
  }

  /** A client of the daemon of this home. @throws DAEMON_UNREACHABLE when none answers. */
  protected async client(options: { timeoutMs?: number } = {}): Promise<Client> {
    const { connect } = await import('./connect.ts');
    return connect(this.home(), options.timeoutMs ?? this.timeoutMs());
  }

  /**
   * The passphrase, from the first source that has one: flags, environment, systemd, a prompt.
   * @param purpose completes "Passphrase for ...", e.g. `the keystore of alice`.
   * @param options.fresh a new passphrase to replace that of the environment: file or prompt only.
   */
  protected async passphrase(
    purpose: string,
    options: { file?: string; confirm?: boolean; fresh?: boolean } = {},
  ): Promise<string> {
    const { askPassphrase } = await import('./ask.ts');
    const flags = this.flags as { 'passphrase-file'?: string; 'passphrase-fd'?: number };
    const own = options.file !== undefined || options.fresh;
    return await askPassphrase({
      purpose,
      env: options.fresh ? {} : process.env,
      file: own ? options.file : flags['passphrase-file'],
      fd: own ? undefined : flags['passphrase-fd'],
      confirm: options.confirm ?? false,
      mayAsk: mayAsk(this.#global['no-input']),
      note: (line) => this.note(line),
    });
  }

  /** Asks before something is destroyed. @throws CONFIRMATION_REQUIRED, CHECK_FAILED on "no". */
  protected async confirm(question: string): Promise<void> {
    if ((this.flags as { yes?: boolean }).yes) return;
    if (!mayAsk(this.#global['no-input'])) {
      throw new AegisError('CONFIRMATION_REQUIRED', `this needs a yes: ${question}`);
    }
    const { askYes } = await import('./ask.ts');
    if (!(await askYes(question))) throw new AegisError('CHECK_FAILED', 'not confirmed');
  }

  /** Aborts on Ctrl-C or SIGTERM. From the first call on, the command itself must end in time. */
  protected interruption(): AbortSignal {
    return this.#interruption.signal();
  }

  /** Tells the person something on standard error; `--quiet` silences it. */
  protected note(line: string): void {
    if (!this.#global.quiet) process.stderr.write(`${line}\n`);
  }

  /** The same, only with `--verbose`. */
  protected detail(line: string): void {
    if (this.#global.verbose) process.stderr.write(`${line}\n`);
  }

  /**
   * One record of a stream: a line of NDJSON with `--json`, else `line` (nothing if undefined).
   * Resolves when the reader of standard output can take more.
   */
  protected async emit(record: { readonly type: string }, line?: string): Promise<void> {
    const text = this.json ? JSON.stringify(record) : line;
    if (text === undefined || process.stdout.write(`${text}\n`)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        process.stdout.off('drain', done).off('close', done);
        resolve();
      };
      // A reader that has gone never drains; `interruption.ts` sees to the end.
      process.stdout.on('drain', done).on('close', done);
    });
  }

  #print(result: NonNullable<R>): void {
    const text = this.json ? JSON.stringify(result) : this.view(result);
    if (text !== undefined && text !== '') process.stdout.write(`${text.replace(/\n$/, '')}\n`);
  }
}
