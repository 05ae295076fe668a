/**
 * The worked examples GraphiQL opens with, one tab each. A test runs every one of them. Their values stand in the text,
 * because the first tab loses variables given to it; each is complete, so that the button alone does something.
 */
const PICTURE =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

/** Put into an example where a person pastes the id of a job of theirs. */
export const PASTE_ID = 'paste the id of a job here';

export const GRAPHIQL_TABS: readonly string[] = [
  `# 1. Upload. A picture can come as a data URI (this one is a single dot), a public URL, an earlier upload or output, or a file:
#
#   curl localhost:4000/graphql -H 'graphql-require-preflight: true' \\
#     -F operations='{"query":"mutation($f: Upload!) { uploadImage(input: {file: $f}) { ... on UploadImageSuccess { image { id } } ... on Error { message } } }","variables":{"f":null}}' \\
#     -F map='{"0":["variables.f"]}' -F 0=@picture.png
mutation Upscale {
  upscaleImage(
    input: {
      image: {
        dataUri: "${PICTURE}"
      }
    }
  ) {
    ... on SubmitJobSuccess { job { id status } }
    ... on Error { code message }
  }
}
`,
  `# 2. Submit. With waitMs the answer comes once the job has ended, or after that time with the job as it then stands.
mutation Generate {
  generateImage(
    input: { prompt: "a lighthouse at dusk", steps: 20, waitMs: 10000, labels: { from: "GraphiQL" } }
  ) {
    ... on SubmitJobSuccess {
      job {
        id
        status
        runMs
        outputs { id ... on ImageOutput { url width height } }
      }
    }
    ... on ValidationError { issues { path message } }
    ... on Error { code message }
  }
}
`,
  `# 3. Watch. Start this one, then submit in another window: what runs now, and every change from here on.
# For a single job: subscription { job(id: "...") { ... } }, which completes once the job has ended.
subscription Watch {
  jobs {
    id
    workflow
    status
    progress { id fraction nodeType step totalSteps remainingMs }
    queue { id position blockedBy }
    preview { id url }
    outputs { id ... on ImageOutput { url thumbnailUrl } }
    error { code message }
  }
}
`,
  `# 4. Cancel, wherever the job stands.
mutation Cancel {
  cancelJob(input: { id: "${PASTE_ID}" }) {
    ... on JobSuccess { job { id status } }
    ... on InvalidStateError { status }
    ... on Error { code message }
  }
}
`,
  `# 5. Look: jobs, newest first, the instances, the queue, and how everything is.
query Overview {
  jobs(first: 10) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { id workflow status createdAt runMs instance { id name } outputs { id mimeType } }
  }
  instances { id name health running capacity gpu }
  queue { id pending processing capacity }
  health { status checks { name ok message } }
}
`,
  `# 6. Figures: how the fleet did, as graphs and in one row, and what it cost. Watched: subscription { metrics { id queueDepth running } }
query Figures {
  metricSeries(metrics: [JOB_DURATION], stat: P95, groupBy: [INSTANCE], from: "now-6h", maxDataPoints: 72) {
    name
    unit
    intervalMs
    points { time value }
  }
  metrics(from: "now-1h") {
    id
    persistedAt
    successRate
    jobsPerHour
    queueTimeMs { id avg p95 }
    durationMs { id avg p50 p95 p99 }
    byInstance { id instanceName completed failed utilization durationMs { id p95 } }
    errors { id code count rate instance workflow lastAt lastMessage }
    recentFailures(first: 3) { id error { code message } }
  }
  usage(from: "now-7d") { id day tenant workflow jobs gpuSeconds countedGpuSeconds cost }
}
`,
];
