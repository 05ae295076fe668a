/** The Kubernetes manifests, and what their schema says of them; a field that it does not know is a mistake too. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { parseAllDocuments } from 'yaml';

export interface Manifest {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

const require = createRequire(import.meta.url);
const FOLDER = fileURLToPath(new URL('../../deploy/kubernetes', import.meta.url));

export function readManifests(): Manifest[] {
  return readdirSync(FOLDER)
    .sort()
    .flatMap((file) =>
      parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8')).map((document) => ({
        ...(document.toJS() as Manifest),
        file,
      })),
    );
}

/** Values: types, required fields, formats. */
export function schemaProblem({ file: _file, ...manifest }: Manifest): string | null {
  const { apiVersion, kind } = manifest;
  const models = require(`kubernetes-models/${apiVersion}`) as Record<string, Model>;
  const model = models[kind as string];
  if (!model) return `${apiVersion} has no ${kind}`;
  try {
    new model(manifest).validate();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

type Model = new (data: object) => { validate(): void };

/**
 * Unknown fields: the schema lets them pass, an API server drops or refuses them. The types of the schema know them all, so
 * each manifest becomes a literal of its type, and the compiler names what is too much in it.
 */
export function unknownFields(manifests: readonly Manifest[]): string[] {
  const name = fileURLToPath(new URL('manifest-literals.ts', import.meta.url));
  const lines = manifests.map(
    ({ file: _file, ...manifest }, n) =>
      `import type { I${manifest.kind} as T${n} } from 'kubernetes-models/${manifest.apiVersion}'; ` +
      `export const m${n}: T${n} = ${JSON.stringify(manifest)};`,
  );
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (path) => path === name || fileExists(path);
  host.getSourceFile = (path, version) =>
    path === name ? ts.createSourceFile(path, lines.join('\n'), version) : getSourceFile(path, version);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0;
    const { file: source, kind } = manifests[line] ?? {};
    return `${source} ${kind}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}
