/** Lists of jobs: a page by keyset cursors and a total that is counted only when asked for. */
import type { JobFilter } from '../domain/job-filter.ts';
import { countJobs, type JobCursor, pageJobs } from '../store/jobs.ts';
import { badInput } from './coded-error.ts';
import type { GraphqlContext } from './context.ts';
import { parseJobCursor } from './cursors.ts';
import type { JobConnectionShape } from './refs.ts';

const LARGEST_PAGE = 100;
const DEFAULT_PAGE = 20;

export interface PageArguments {
  readonly first?: number | null | undefined;
  readonly after?: string | null | undefined;
  readonly last?: number | null | undefined;
  readonly before?: string | null | undefined;
}

/** @throws BAD_USER_INPUT for both or impossible sizes and for cursors that are none. */
export async function pageOfJobs(
  { services, viewer }: GraphqlContext,
  args: PageArguments,
  filter: JobFilter,
): Promise<JobConnectionShape> {
  const first = size(args.first, 'first');
  const last = size(args.last, 'last');
  if (first !== undefined && last !== undefined) throw badInput('pass "first" or "last", not both');
  const page = await pageJobs(services.store.db, viewer, {
    filter,
    ...(last === undefined ? { first: first ?? DEFAULT_PAGE } : { last }),
    after: cursor(args.after, 'after'),
    before: cursor(args.before, 'before'),
  });
  return { page, total: () => countJobs(services.store.db, viewer, filter) };
}

/** The jobs of one instance; those of its siblings in a list are fetched with it. */
export async function pageOfInstanceJobs(
  { loaders }: GraphqlContext,
  args: Pick<PageArguments, 'first' | 'after'>,
  instanceId: string,
): Promise<JobConnectionShape> {
  const first = size(args.first, 'first') ?? DEFAULT_PAGE;
  const after = cursor(args.after, 'after');
  const page = await loaders.instanceJobs.load({ instanceId, first, after });
  return { page, total: () => loaders.instanceJobCount.load(instanceId) };
}

function size(value: number | null | undefined, name: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (value < 1 || value > LARGEST_PAGE) throw badInput(`"${name}" must be 1 to ${LARGEST_PAGE}`);
  return value;
}

function cursor(text: string | null | undefined, name: string): JobCursor | undefined {
  if (text === null || text === undefined) return undefined;
  const parsed = parseJobCursor(text);
  if (!parsed) throw badInput(`"${name}" is no cursor of this list`);
  return parsed;
}
