/** Asking for jobs: one, a list, figures. */
import { jobStats } from '../store/jobs.ts';
import type { Builder } from './builder.ts';
import { jobCursor } from './cursors.ts';
import { rawId } from './global-id.ts';
import { type JobFilterRef, jobFilterOf } from './job-filter.ts';
import { pageOfJobs } from './job-page.ts';
import type { JobView } from './job-view.ts';
import type { JobConnectionShape, Refs } from './refs.ts';

export function addJobQueries(builder: Builder, refs: Refs, JobFilter: JobFilterRef): void {
  addConnection(builder, refs);
  addStats(builder, refs);
  builder.queryFields((t) => ({
    job: t.field({
      type: refs.Job,
      nullable: true,
      description: 'One job by its id; null when there is none.',
      args: { id: t.arg.id({ required: true, description: 'Id of the job.' }) },
      resolve: (_root, { id }, { loaders }) => {
        const raw = rawId(id, 'Job');
        return raw === null ? null : loaders.job.load(raw);
      },
    }),
    jobs: t.field({
      type: refs.JobConnection,
      description: 'Jobs, newest first.',
      args: {
        first: t.arg.int({ description: 'At most so many from the start; 1 to 100, default 20.' }),
        after: t.arg.string({ description: 'Only those after this cursor.' }),
        last: t.arg.int({ description: 'At most so many from the end; 1 to 100.' }),
        before: t.arg.string({ description: 'Only those before this cursor.' }),
        filter: t.arg({ type: JobFilter, description: 'Which jobs; all when absent.' }),
      },
      resolve: (_root, { filter, ...page }, context) =>
        pageOfJobs(context, page, jobFilterOf(filter, context.services.clock.now())),
    }),
    jobStats: t.field({
      type: refs.JobStats,
      description: 'How many jobs there are, by what they have in common.',
      args: { filter: t.arg({ type: JobFilter, description: 'Which jobs; all when absent.' }) },
      resolve: (_root, { filter }, { services, viewer }) =>
        jobStats(services.store.db, viewer, jobFilterOf(filter, services.clock.now())),
    }),
  }));
}

function addConnection(builder: Builder, refs: Refs): void {
  const PageInfo = builder.objectRef<JobConnectionShape>('PageInfo').implement({
    description: 'Where a page lies in its list.',
    fields: (t) => ({
      hasNextPage: t.boolean({
        description: 'There are more after it.',
        resolve: ({ page }) => page.hasNext,
      }),
      hasPreviousPage: t.boolean({
        description: 'There are more before it.',
        resolve: ({ page }) => page.hasPrevious,
      }),
      startCursor: t.string({
        nullable: true,
        description: 'Cursor of its first item.',
        resolve: ({ page }) => cursorOf(page.jobs[0]),
      }),
      endCursor: t.string({
        nullable: true,
        description: 'Cursor of its last item.',
        resolve: ({ page }) => cursorOf(page.jobs.at(-1)),
      }),
    }),
  });
  const JobEdge = builder.objectRef<JobView>('JobEdge').implement({
    description: 'A job in a list.',
    fields: (t) => ({
      cursor: t.string({ description: 'Its place in the list: opaque.', resolve: (job) => jobCursor(job) }),
      node: t.field({ type: refs.Job, description: 'The job.', resolve: (job) => job }),
    }),
  });
  builder.objectType(refs.JobConnection, {
    description: 'A page of jobs.',
    fields: (t) => ({
      edges: t.field({
        type: [JobEdge],
        description: 'The jobs with their cursors.',
        resolve: ({ page }) => page.jobs,
      }),
      nodes: t.field({ type: [refs.Job], description: 'The jobs.', resolve: ({ page }) => page.jobs }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'Where the page lies.',
        resolve: (connection) => connection,
      }),
      totalCount: t.int({
        description: 'How many there are in all; counted only when asked for.',
        resolve: ({ total }) => total(),
      }),
    }),
  });
}

function cursorOf(job: JobView | undefined): string | null {
  return job ? jobCursor(job) : null;
}

function addStats(builder: Builder, refs: Refs): void {
  const StatusCount = builder
    .objectRef<{ readonly status: JobView['status']; readonly count: number }>('StatusCount')
    .implement({
      description: 'Jobs of one status.',
      fields: (t) => ({
        status: t.field({
          type: refs.JobStatus,
          description: 'The status.',
          resolve: ({ status }) => status,
        }),
        count: t.exposeInt('count', { description: 'How many.' }),
      }),
    });
  const NameCount = builder
    .objectRef<{ readonly name: string; readonly count: number }>('NameCount')
    .implement({
      description: 'Jobs that have a name in common.',
      fields: (t) => ({
        name: t.exposeString('name', { description: 'The name.' }),
        count: t.exposeInt('count', { description: 'How many.' }),
      }),
    });
  builder.objectType(refs.JobStats, {
    description: 'How many jobs there are.',
    fields: (t) => ({
      total: t.exposeInt('total', { description: 'In all.' }),
      byStatus: t.field({
        type: [StatusCount],
        description: 'By status; statuses without jobs are absent.',
        resolve: (stats) => stats.byStatus,
      }),
      byWorkflow: t.field({
        type: [NameCount],
        description: 'By workflow, most first.',
        resolve: (stats) => stats.byWorkflow,
      }),
      byInstance: t.field({
        type: [NameCount],
        description: 'By the instance where they run or ran last, most first.',
        resolve: (stats) => stats.byInstance,
      }),
    }),
  });
}
