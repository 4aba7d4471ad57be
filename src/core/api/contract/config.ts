/** What `aegis config` and `aegis doctor` print with `--json`. They ask no daemon for it. */
import * as v from 'valibot';
import { count, word } from './values.ts';

const origin = v.picklist(['flag', 'environment', 'config', 'default']);
/** `null`: not set. */
const value = v.nullable(v.union([v.string(), v.number(), v.array(v.string())]));
const setting = {
  key: word,
  value,
  origin,
  /** Where the value is from: a file, a variable, or `null` for the default. */
  source: v.nullable(word),
};

/** `aegis config list` */
export const configListResult = v.object({
  schema: v.literal('aegis.config.list/1'),
  settings: v.array(v.object(setting)),
});
export type ConfigListResult = v.InferOutput<typeof configListResult>;

/** `aegis config get` */
export const configGetResult = v.object({ schema: v.literal('aegis.config.get/1'), ...setting });
export type ConfigGetResult = v.InferOutput<typeof configGetResult>;

/** `aegis config set` */
export const configSetResult = v.object({
  schema: v.literal('aegis.config.set/1'),
  key: word,
  value,
  previous: value,
  file: word,
});
export type ConfigSetResult = v.InferOutput<typeof configSetResult>;

/** `aegis config unset` */
export const configUnsetResult = v.object({
  schema: v.literal('aegis.config.unset/1'),
  key: word,
  /** Whether the file had a value. */
  removed: v.boolean(),
  /** What holds from now on. */
  value,
  file: word,
});
export type ConfigUnsetResult = v.InferOutput<typeof configUnsetResult>;

/** `aegis config path` */
export const configPathResult = v.object({
  schema: v.literal('aegis.config.path/1'),
  config: word,
  keys: word,
  data: word,
  logs: word,
  run: word,
  socket: word,
});
export type ConfigPathResult = v.InferOutput<typeof configPathResult>;

/** `aegis config validate` */
export const configValidateResult = v.object({
  schema: v.literal('aegis.config.validate/1'),
  valid: v.literal(true),
  file: word,
  /** Settings that the file and the environment give. */
  given: count,
});
export type ConfigValidateResult = v.InferOutput<typeof configValidateResult>;

const check = v.object({
  id: word,
  status: v.picklist(['ok', 'warn', 'fail']),
  message: word,
  /** `null` when there is nothing to do. */
  hint: v.nullable(word),
  /** Whether `--fix` has just repaired what was found. */
  fixed: v.boolean(),
});
export type DoctorCheck = v.InferOutput<typeof check>;

/** `aegis doctor` */
export const doctorResult = v.object({
  schema: v.literal('aegis.doctor/1'),
  home: word,
  healthy: v.boolean(),
  checks: v.array(check),
});
export type DoctorResult = v.InferOutput<typeof doctorResult>;
