/** The worked examples GraphiQL opens with, one tab each. A test runs every one of them. */

export interface GraphiqlTab {
  readonly query: string;
  /** JSON text. */
  readonly variables: string;
}

const json = (value: unknown): string => JSON.stringify(value, null, 2);
const PIXEL =
  'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';

export const GRAPHIQL_TABS: readonly GraphiqlTab[] = [
  {
    query: `# 1. Upload. A picture can come as a data URI, a public URL, an earlier upload or output, or a file:
# curl localhost:4000/graphql -H 'apollo-require-preflight: 1' \\
#   -F operations='{"query":"mutation($f: Upload!) { uploadImage(input: {file: $f}) { ... on UploadImageSuccess { image { id } } ... on Error { message } } }","variables":{"f":null}}' \\
#   -F map='{"0":["variables.f"]}' -F 0=@picture.png
mutation Upscale($image: ImageSource!) {
  upscaleImage(input: { image: $image }) {
    ... on SubmitJobSuccess { job { id status } }
    ... on Error { code message }
  }
}
`,
    variables: json({ image: { dataUri: PIXEL } }),
  },
  {
    query: `# 2. Submit. With waitMs the answer comes once the job has ended, or after that time.
mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) {
    ... on SubmitJobSuccess {
      job { id status queue { position estimatedWaitMs blockedBy } outputs { id ... on ImageOutput { url } } }
    }
    ... on ValidationError { issues { path message } }
    ... on Error { code message }
  }
}
`,
    variables: json({
      input: {
        workflow: 'generateImage',
        inputs: { prompt: 'a lighthouse at dusk' },
        labels: { from: 'GraphiQL' },
      },
    }),
  },
  {
    query: `# 3. Watch. Put in the id of a job; the last one shows itself and the stream completes once it has ended.
subscription Watch($id: ID!) {
  job(id: $id) {
    id
    status
    progress { id fraction node step totalSteps remainingMs }
    queue { id position blockedBy }
    preview { id url }
    outputs { id ... on ImageOutput { url thumbnailUrl } }
    error { code message }
  }
}
`,
    variables: json({ id: 'a job id' }),
  },
  {
    query: `# 4. Cancel, wherever the job stands.
mutation Cancel($id: ID!) {
  cancelJob(input: { id: $id }) {
    ... on JobSuccess { job { id status } }
    ... on InvalidStateError { status }
    ... on Error { code message }
  }
}
`,
    variables: json({ id: 'a job id' }),
  },
  {
    query: `# 5. List jobs, newest first, and look at the fleet.
query Overview($first: Int = 10, $filter: JobFilter) {
  jobs(first: $first, filter: $filter) {
    totalCount
    pageInfo { hasNextPage endCursor }
    nodes { id workflow status createdAt runMs instance { id name } outputs { id mimeType } }
  }
  instances { id name health running capacity gpu }
  queue { id pending processing capacity }
  health { status checks { name ok message } }
}
`,
    variables: json({ first: 10, filter: {} }),
  },
];
