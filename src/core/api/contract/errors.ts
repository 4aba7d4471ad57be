/** The one form of an error, in the API and with `--json`. */
import * as v from 'valibot';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { endpoint } from './endpoint.ts';
import { count } from './values.ts';

export const ERROR_SCHEMA = 'aegis.error/1';

export const errorSchema = v.object({
  schema: v.literal(ERROR_SCHEMA),
  error: v.object({
    code: v.picklist(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    message: v.string(),
    hint: v.optional(v.string()),
    exit: count,
    retryable: v.boolean(),
  }),
});
export type ErrorReply = v.InferOutput<typeof errorSchema>;

export const failuresShow = endpoint('failures.show', {
  reply: { id: v.string(), failure: errorSchema.entries.error },
});
