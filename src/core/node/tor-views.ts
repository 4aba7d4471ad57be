/** What the API says of Tor while nothing here uses it: the route is `off`. */
import type { TorBackend } from '../api/backend.ts';
import type { Body, Result } from '../api/contract/endpoints.ts';
import type { TorStatus, TorSummary } from '../api/contract/tor.ts';
import { AegisError } from '../errors.ts';

export const offSummary = (): TorSummary => ({ route: 'off', state: 'off', onion: null });

export class TorViews implements TorBackend {
  async status(): Promise<TorStatus> {
    return {
      ...{ route: 'off', state: 'off', why: null, hint: null, usesExits: false, daemon: null },
      ...{ bootstrap: null, hasCircuits: null, circuits: 0, traffic: null, guards: [] },
      ...{ services: [], connections: { onion: 0, exit: 0, direct: 0 } },
    };
  }

  route(_body: Body<'tor.route'>): Promise<Result<'tor.route'>> {
    return Promise.reject(routeIsOff());
  }

  check(_body: Body<'tor.check'>): Promise<Result<'tor.check'>> {
    return Promise.reject(routeIsOff());
  }

  circuits(): Promise<Result<'tor.circuits'>> {
    return Promise.reject(routeIsOff());
  }

  newnym(_body: Body<'tor.newnym'>): Promise<Result<'tor.newnym'>> {
    return Promise.reject(routeIsOff());
  }

  onion(): Promise<Result<'tor.onion'>> {
    return Promise.reject(routeIsOff());
  }

  renew(_body: Body<'tor.renew'>): Promise<Result<'tor.renew'>> {
    return Promise.reject(routeIsOff());
  }
}

const routeIsOff = (): AegisError =>
  new AegisError('ROUTE_FORBIDS', 'the route of this node is off: it uses no Tor', {
    hint: 'aegis tor route prefer',
  });
