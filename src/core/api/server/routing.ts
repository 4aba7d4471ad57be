/** Finds the endpoint of a request. */
import router from 'find-my-way';
import { AegisError } from '../../errors.ts';
import { type Method, ROUTES, type RouteName } from '../contract/routes.ts';
import { Refusal } from './gate.ts';

export interface Found {
  readonly name: RouteName;
  /** The `:id` of the path, decoded; empty where the path has none. */
  readonly id: string;
  /** The query as it came, without `?`. */
  readonly search: string;
}

const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'DELETE'];
/** Longest `:id`, in characters. */
const PARAM_LENGTH_MAX = 256;

export class Routing {
  readonly #queryBytesMax: number;
  readonly #router = router({ caseSensitive: true, maxParamLength: PARAM_LENGTH_MAX });

  constructor(options: { queryBytesMax: number }) {
    this.#queryBytesMax = options.queryBytesMax;
    for (const [name, route] of Object.entries(ROUTES)) {
      this.#router.on(route.method, route.path, () => undefined, { name });
    }
  }

  find(method: string, target: string): Found | Refusal {
    const at = target.indexOf('?');
    const path = at === -1 ? target : target.slice(0, at);
    const search = at === -1 ? '' : target.slice(at + 1);
    if (Buffer.byteLength(search) > this.#queryBytesMax) {
      return new Refusal(new AegisError('BAD_REQUEST', 'the query is too long'), 414);
    }
    const found = METHODS.some((each) => each === method) ? this.#lookUp(method, path) : undefined;
    return found === undefined ? this.#unknown(method, path) : { ...found, search };
  }

  #lookUp(method: string, path: string): Omit<Found, 'search'> | undefined {
    const found = this.#router.find(method as Method, path);
    if (found === null) return undefined;
    const { name } = found.store as { name: RouteName };
    return { name, id: found.params['id'] ?? '' };
  }

  #unknown(method: string, path: string): Refusal {
    const allowed = METHODS.filter((each) => this.#lookUp(each, path) !== undefined);
    if (allowed.length === 0) {
      const what = JSON.stringify(`${method} ${path.slice(0, 100)}`);
      return new Refusal(new AegisError('NOT_FOUND', `there is no endpoint ${what}`), 404);
    }
    const error = new AegisError('BAD_REQUEST', `${path} takes ${allowed.join(', ')} only`);
    return new Refusal(error, 405, { allow: allowed.join(', ') });
  }
}
