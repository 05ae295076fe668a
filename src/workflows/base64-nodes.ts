/** Nodes that take a picture as base64 text instead of a file name. */

/** Add the class of a custom node here when its name does not say what it takes. */
const BASE64_NODES: ReadonlySet<string> = new Set(['ETN_LoadImageBase64', 'ETN_LoadMaskBase64']);

/** True for the known ones and for whatever has the word in its class name. */
export function takesBase64(classType: string): boolean {
  return BASE64_NODES.has(classType) || /base64/i.test(classType);
}
