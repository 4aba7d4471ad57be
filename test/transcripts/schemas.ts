/** Every schema of the contract by its name, for what commands print with `--json`. */
import { globSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import * as v from 'valibot';

type ObjectSchema = v.ObjectSchema<v.ObjectEntries, undefined>;

const nameOf = (value: unknown): string | undefined => {
  const { entries } = (value ?? {}) as Partial<ObjectSchema>;
  const { literal } = (entries?.['schema'] ?? {}) as { literal?: unknown };
  return typeof literal === 'string' ? literal : undefined;
};

/** Looks into the exports of every module of the contract, one level deep for endpoints. */
export async function contractSchemas(): Promise<Map<string, ObjectSchema>> {
  const found = new Map<string, ObjectSchema>();
  for (const file of globSync('src/core/api/contract/*.ts')) {
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    const values = Object.values(module).flatMap((value) => [
      value,
      ...(typeof value === 'object' && value !== null ? Object.values(value) : []),
    ]);
    for (const value of values) {
      const name = nameOf(value);
      if (name !== undefined) found.set(name, value as ObjectSchema);
    }
  }
  return found;
}

/** What is wrong with the JSON objects among `lines`; those that name no schema are passed over. */
export function schemaFaults(
  lines: readonly string[],
  schemas: ReadonlyMap<string, ObjectSchema>,
): string[] {
  return lines
    .filter((line) => line.startsWith('{"schema":'))
    .flatMap((line) => {
      const value = JSON.parse(line) as { schema: string };
      const schema = schemas.get(value.schema);
      if (schema === undefined) return [`no schema ${value.schema} in api/contract`];
      const { issues } = v.safeParse(schema, value);
      return (issues ?? []).map(
        (issue) => `${value.schema}: ${v.getDotPath(issue)}: ${issue.message}`,
      );
    });
}
