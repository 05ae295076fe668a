/**
 * Names of files that a client puts into a graph itself. ComfyUI joins them to its input folder unchecked (observed on
 * 0.3.64: LoadImage accepts `../../etc/passwd`, CVE-2026-56673), so a plain name is let through and anything that walks is not.
 */
import type { Json } from '../lib/json.ts';

/** Inputs of loading nodes that name a file; of other nodes the same words hold pictures or texts. */
const FILE_INPUT =
  /^(image|images|mask|audio|video|file|latent|model_file|mesh|filename|file_?name|url)$|_(image|file|filename|video|audio)$/i;
/** Inputs that name a file or a folder whatever the node. */
const PATH_INPUT = /^(path|folder|subfolder|directory|dir)$|(^|_)(path|folder|directory|dir)$|^file_?path$/i;
const LOADING_NODE = /load/i;
const BASE64_NODE = /base64/i;

/** True when the node reads or writes a file named by this input. */
export function takesFileName(classType: string, input: string): boolean {
  if (PATH_INPUT.test(input)) return true;
  // Base64 text of a JPEG begins with a slash and is no name.
  return LOADING_NODE.test(classType) && !BASE64_NODE.test(classType) && FILE_INPUT.test(input);
}

/** Why none of the texts in the value may name a file; null when all may. */
export function fileNameProblem(value: Json): string | null {
  if (typeof value === 'string') return nameProblem(value);
  if (typeof value !== 'object' || value === null) return null;
  for (const inner of Object.values(value)) {
    const problem = fileNameProblem(inner);
    if (problem !== null) return problem;
  }
  return null;
}

function nameProblem(name: string): string | null {
  if (/\p{Cc}/u.test(name)) return 'names a file with a control character';
  if (name.includes('\\')) return 'names a file with a backslash';
  if (name.split('/').some((part) => part.trim() === '..')) return "names a file outside its folder ('..')";
  if (/^\s*[/~]/.test(name)) return 'names a file by an absolute path';
  if (/^\s*[a-z]:/i.test(name)) return 'names a file on a drive';
  // ComfyUI reads `name [output]` as "from the output folder", where other people's results lie.
  if (/\[(input|output|temp)\]\s*$/i.test(name))
    return 'names a file of another folder by a suffix in brackets';
  return null;
}
