/** Saving pictures the way SaveImage does; shared by every node that leaves PNG files. */
import type { NodeCall, SavedEntry } from '../node-class.ts';
import type { Picture } from '../pictures.ts';
import { encodePng } from '../png-text.ts';
import { isObject, toPythonJsonText } from '../python-json.ts';

const LETTERS = 'abcdefghijklmnopqrstupvxyz';

/** The prompt and the client's extra entries, as text chunks or tags of a saved file. */
export function fileTexts(call: NodeCall): [string, string][] {
  const texts: [string, string][] = [['prompt', toPythonJsonText(call.prompt())]];
  if (isObject(call.extraPngInfo)) {
    for (const [key, value] of Object.entries(call.extraPngInfo)) texts.push([key, toPythonJsonText(value)]);
  }
  return texts;
}

export async function savePictures(
  call: NodeCall,
  pictures: readonly Picture[],
  type: 'output' | 'temp',
  prefix: string,
): Promise<SavedEntry[]> {
  const texts = fileTexts(call);
  const [first] = pictures;
  if (!first) return [];
  const saved: SavedEntry[] = [];
  for (const picture of pictures) {
    const bytes = await encodePng(picture, texts);
    saved.push(await call.save({ type, prefix, extension: 'png', size: first, bytes }));
  }
  return saved;
}

/** "ComfyUI_temp_abcde": the letters are made up once per node object. */
export function tempPrefix(call: NodeCall): string {
  const known = call.instance.get('temp');
  if (known !== undefined) return known;
  const letters = Array.from({ length: 5 }, () => LETTERS[Math.floor(call.random() * LETTERS.length)]).join(
    '',
  );
  const prefix = `ComfyUI_temp_${letters}`;
  call.instance.set('temp', prefix);
  return prefix;
}
