/** Tor, as the route wants it: that of the running node, or the one that it would use. */
import type { TorStatus } from '../../core/api/contract/tor.ts';
import { loadSettings, type Settings } from '../../core/config/settings.ts';
import { findTor } from '../../core/tor/daemon/find-tor.ts';
import { systemTor } from '../../core/tor/daemon/system-tor.ts';
import { endpointText, parseEndpoint } from '../../core/tor/endpoint.ts';
import { connect } from '../connect.ts';
import { bootstrapText } from '../tor.ts';
import { type Check, fail, ok, type Patient, warn } from './check.ts';

const LOOPBACK = /^\/ip(4\/127\.|6\/::1\/)/;

/** What a running node says. Without one, whether there is a Tor for the route of the settings. */
export async function checkTor(patient: Patient, isRunning: boolean): Promise<Check> {
  const { paths, env, timeoutMs } = patient;
  if (isRunning) return checkStatus(await connect(paths, timeoutMs).call('tor.status'));
  const { settings } = await loadSettings(paths, env);
  const route = settings['tor.route'];
  if (route === 'off') return ok('tor', 'not used: the route is off');
  const open = settings['node.listen'].find((address) => !LOOPBACK.test(address));
  if (route === 'require' && open !== undefined) {
    // O2: a node does not start so.
    const message = `the route is require, and node.listen is ${open}: not on loopback`;
    return fail('tor', message, 'Take it away: aegis config unset node.listen');
  }
  const found = await (settings['tor.daemon'] === 'spawn'
    ? ownTor(settings)
    : torOfSystem(settings, AbortSignal.timeout(timeoutMs)));
  return ok('tor', `for the route ${route}: ${found}`);
}

async function ownTor(settings: Settings): Promise<string> {
  const { path, version } = await findTor(settings['tor.binary']);
  return `our own will be ${path}, version ${version}`;
}

async function torOfSystem(settings: Settings, signal: AbortSignal): Promise<string> {
  const { 'tor.control': control, 'tor.socks': socks, 'tor.passwordFile': passwordFile } = settings;
  const tor = await systemTor(
    {
      ...(control !== undefined && { control: parseEndpoint(control) }),
      ...(socks !== undefined && { socks: parseEndpoint(socks) }),
      ...(passwordFile !== undefined && { passwordFile }),
    },
    signal,
  );
  const places = `control ${endpointText(tor.control)}, SOCKS ${endpointText(tor.socks)}`;
  return `version ${tor.version}, ${places}`;
}

const MORE = 'See: aegis tor status';

function checkStatus(status: TorStatus): Check {
  const { route, state, why, hint, services, connections, daemon } = status;
  if (route === 'off') return ok('tor', 'not used: the route is off');
  if (route === 'require' && connections.direct > 0) {
    const message = `${connections.direct} connections go past Tor`;
    return fail('tor', message, 'Stop the node, and report it with: aegis tor check --json');
  }
  if (state === 'down') return fail('tor', why ?? 'no Tor answers', hint ?? MORE);
  if (state !== 'ready') {
    return warn('tor', why ?? bootstrapText(status) ?? `${route}, ${state}`, hint ?? MORE);
  }
  const [service] = services;
  const version = daemon?.version ?? 'of unknown version';
  const message = `${route}, Tor ${version}`;
  if (service === undefined || service.state === 'published') return ok('tor', message);
  const reason = service.why === null ? '' : `: ${service.why}`;
  return warn('tor', `${message}; the onion service is ${service.state}${reason}`, MORE);
}
