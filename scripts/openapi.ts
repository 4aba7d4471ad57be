/** Makes the OpenAPI document and the JSON Schemas of all output from the contract of the API. */
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { toJsonSchema } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import type { Endpoint } from '../src/core/api/contract/endpoint.ts';
import { ENDPOINTS } from '../src/core/api/contract/endpoints.ts';
import { errorSchema } from '../src/core/api/contract/errors.ts';
import { eventSchema } from '../src/core/api/contract/events.ts';
import { nodeLogsOutput } from '../src/core/api/contract/outputs.ts';
import { HEADER, MEDIA } from '../src/core/api/contract/routes.ts';

type JsonSchema = Readonly<Record<string, unknown>>;

/** As a sender writes it: defaults are optional. */
const inputOf = (schema: v.GenericSchema): JsonSchema => bare(schema, 'input');
/** As a receiver reads it. */
const outputOf = (schema: v.GenericSchema): JsonSchema => bare(schema, 'output');

function bare(schema: v.GenericSchema, typeMode: 'input' | 'output'): JsonSchema {
  const made: Record<string, unknown> = {
    ...toJsonSchema(schema, {
      target: 'draft-2020-12',
      typeMode,
      // The start of a text has no keyword of its own in JSON Schema; the description says it.
      ignoreActions: ['starts_with', 'ends_with'],
    }),
  };
  delete made['$schema'];
  return made;
}

const all = (): Endpoint[] => Object.values(ENDPOINTS);

/**
 * The JSON Schema of every object that a command prints, keyed by its `schema`. Lines of streams
 * are keyed `aegis.events/1` and `aegis.node.logs/1`.
 */
export async function outputSchemas(root: string): Promise<ReadonlyMap<string, JsonSchema>> {
  const schemas = new Map<string, JsonSchema>();
  for (const { route, name, reply } of all()) {
    if (route.reply === 'json') schemas.set(`aegis.${name}/1`, outputOf(reply));
  }
  for (const file of globSync('src/core/api/contract/*.ts', { cwd: root })) {
    const module = (await import(resolve(root, file))) as Record<string, unknown>;
    for (const found of Object.values(module)) {
      const name = literalOf(found);
      if (name !== undefined) schemas.set(name, outputOf(found as v.GenericSchema));
    }
  }
  schemas.set('aegis.events/1', outputOf(eventSchema));
  schemas.set('aegis.node.logs/1', outputOf(nodeLogsOutput));
  return schemas;
}

function literalOf(found: unknown): string | undefined {
  const { entries } = (found ?? {}) as { entries?: { schema?: { literal?: unknown } } };
  const literal = entries?.schema?.literal;
  return typeof literal === 'string' ? literal : undefined;
}

/** The OpenAPI 3.1 document of the local API. */
export function openApi(root: string): JsonSchema {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const endpoint of all()) {
    const path = endpoint.route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.route.method.toLowerCase()]: operation(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'aegis local API',
      version,
      summary: 'What the aegis command line, the monitor and local programs ask of a running node.',
      description:
        'HTTP/1.1 on a unix socket of the home, mode 0600; on a loopback TCP port if api.listen ' +
        'is set. Each request carries a token from read.token or admin.token beside the socket; ' +
        'both are written anew at each start. Within /v1, changes only add.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://localhost', description: 'Over the unix socket.' }],
    paths,
    components: {
      securitySchemes: {
        read: { type: 'http', scheme: 'bearer', description: 'Either token.' },
        admin: { type: 'http', scheme: 'bearer', description: 'The admin token.' },
      },
      schemas: { Error: outputOf(errorSchema), Event: outputOf(eventSchema) },
    },
  };
}

/** As it stands in docs/openapi.json. */
export const openApiText = (root: string): string => `${JSON.stringify(openApi(root), null, 2)}\n`;

function operation(endpoint: Endpoint): JsonSchema {
  const { name, route } = endpoint;
  const parameters = [...pathParameters(route.path), ...queryParameters(endpoint)];
  const body = requestBody(endpoint);
  return {
    operationId: name,
    summary: route.summary,
    tags: [name.split('.')[0]],
    security: [{ [route.scope]: [] }],
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: body }),
    responses: {
      200: success(endpoint),
      default: {
        description: 'An error; its status is that of its code.',
        content: { [MEDIA.json]: { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

const pathParameters = (path: string): JsonSchema[] =>
  [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));

function queryParameters({ query }: Endpoint): JsonSchema[] {
  const { properties = {}, required = [] } = inputOf(query) as {
    properties?: Record<string, JsonSchema>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function requestBody({ route, body }: Endpoint): JsonSchema | undefined {
  if (route.body === 'none') return undefined;
  if (route.body === 'json') {
    return { required: true, content: { [MEDIA.json]: { schema: inputOf(body) } } };
  }
  return { required: true, content: binary() };
}

const binary = (): JsonSchema => ({
  [MEDIA.file]: { schema: { description: 'The bytes of a file.' } },
  [MEDIA.directory]: { schema: { description: 'A directory as a POSIX tar archive.' } },
});

function success({ route, reply }: Endpoint): JsonSchema {
  switch (route.reply) {
    case 'json':
      return { description: 'Done.', content: { [MEDIA.json]: { schema: outputOf(reply) } } };
    case 'ndjson':
      return {
        description: 'One event a line, the snapshot first, until the caller hangs up.',
        content: { [MEDIA.ndjson]: { schema: { $ref: '#/components/schemas/Event' } } },
      };
    case 'text':
      return { description: 'Done.', content: { 'text/plain': { schema: { type: 'string' } } } };
    default:
      return {
        description: 'The content. A connection that is cut early means that it is not complete.',
        headers: Object.fromEntries(
          Object.values(HEADER).map((name) => [name, { schema: { type: 'string' } }]),
        ),
        content: binary(),
      };
  }
}
