/** `aegis tor route`: shows the route, or changes it for the running node and its next start. */
import { Args } from '@oclif/core';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { facts, safeText } from '../../cli/format.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { changeOf, readSetting } from '../../cli/settings.ts';
import { routeText, showsMore } from '../../cli/tor.ts';
import type { Client } from '../../core/api/client/client.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { RouteMode } from '../../core/api/contract/tor.ts';
import { variableOf, writeSettings } from '../../core/config/settings.ts';
import { EXIT, hasCode } from '../../core/errors.ts';

/** What waits for circuits of Tor takes its time. */
const TIMEOUT_MS = 180_000;
const MODES = ['off', 'prefer', 'require'] as const;

export default class TorRoute extends BaseCommand<typeof TorRoute, Reply<'tor.route'>> {
  static override readonly summary = 'Show or change the route to peers.';
  static override readonly description =
    'off: peers are reached directly. prefer: at their onion addresses first, then through ' +
    'exits, then directly. require: through Tor or not at all. With a mode the running node ends ' +
    'every connection and listener of before and begins anew, and the setting is written for its ' +
    'next start; without a running node only the setting is written. A step towards off shows ' +
    'where this node is, and asks first. A require that cannot begin, because no Tor answers, ' +
    'stays closed: nothing is dialled until there is one (exit status 75).';
  static override readonly examples = [
    { description: 'Show the route', command: '<%= config.bin %> tor route' },
    { description: 'Reach peers through Tor only', command: '<%= config.bin %> tor route require' },
    { description: 'Without Tor again', command: '<%= config.bin %> tor route off --yes' },
  ];
  static override readonly args = {
    mode: Args.string({ ignoreStdin: true, options: [...MODES], description: 'The new route.' }),
  };
  static override readonly flags = confirmFlags;

  protected override async work(): Promise<Reply<'tor.route'>> {
    const mode = MODES.find((each) => each === this.args.mode);
    const running = await this.#running();
    if (running === undefined) return await this.#setting(mode);
    const { client, route: before, state, why } = running;
    if (mode === undefined) {
      await this.#warnOfNext(before);
      const same = { route: before, before, changed: false, disconnected: 0 };
      const settings = this.home().config;
      return { schema: 'aegis.tor.route/1', ...same, state, settings, why };
    }
    await this.#mayShow(before, mode);
    const signal = this.interruption();
    const reply = await client.call('tor.route', { body: { mode }, signal });
    if (reply.why !== null) process.exitCode = EXIT.tryAgain;
    return reply;
  }

  protected override view(reply: Reply<'tor.route'>): string {
    const { route, before, changed, state, disconnected, why } = reply;
    return facts([
      ['route', routeText(route)],
      ['before', changed ? before : undefined],
      ['state', state ?? 'no node runs: it holds from the next start'],
      ['why', why === null ? undefined : this.paint.yellow(safeText(why))],
      [
        'ended',
        disconnected === 0 ? undefined : `${counted(disconnected, 'connection')} of before`,
      ],
      ['setting', `tor.route in ${safeText(reply.settings)}`],
    ]);
  }

  async #running(): Promise<({ client: Client } & Reply<'tor.status'>) | undefined> {
    try {
      const client = await this.client({ timeoutMs: this.timeoutMs(TIMEOUT_MS) });
      return { client, ...(await client.call('tor.status')) };
    } catch (error) {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return undefined;
      throw error;
    }
  }

  /** Without a node: what its next start would take. */
  async #setting(mode: RouteMode | undefined): Promise<Reply<'tor.route'>> {
    const paths = this.home();
    await requireOwnHome(paths);
    const before = await this.#set();
    const route = mode ?? before;
    if (mode !== undefined) {
      await this.#mayShow(before, mode);
      await writeSettings(paths, changeOf('tor.route', mode));
      await this.#warnOfNext(mode);
    }
    const same = { route, before, changed: route !== before, state: null, disconnected: 0 };
    return { schema: 'aegis.tor.route/1', ...same, settings: paths.config, why: null };
  }

  /** O6: who goes back to where others see it should know. */
  async #mayShow(before: RouteMode, mode: RouteMode): Promise<void> {
    if (!showsMore(before, mode)) return;
    await this.confirm(`go from ${before} to ${mode}, which shows peers where this node is?`);
  }

  async #warnOfNext(now: RouteMode): Promise<void> {
    const { value, origin } = await readSetting(this.home(), 'tor.route');
    if (value === now) return;
    const where = origin === 'environment' ? variableOf('tor.route') : 'the config file';
    this.note(`aegis: warning: ${where} says ${String(value)}, which the next start takes`);
  }

  async #set(): Promise<RouteMode> {
    const { value } = await readSetting(this.home(), 'tor.route');
    return MODES.find((each) => each === value) ?? 'off';
  }
}
