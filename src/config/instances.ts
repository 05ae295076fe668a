/** COMFYUI_INSTANCES: the instances that the configuration names. */
import { list, webUrl } from './values.ts';

/** A ComfyUI instance named in COMFYUI_INSTANCES. */
export interface ConfiguredInstance {
  readonly name: string;
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly capacity: number;
}

/** `url` or `name=url`, separated by commas. */
export function parseInstances(text: string, capacity: number, problems: string[]): ConfiguredInstance[] {
  const instances: ConfiguredInstance[] = [];
  for (const entry of list.parse(text)) {
    const [, label, address = ''] = /^(?:([\w.-]+)=)?(.*)$/.exec(entry) ?? [];
    const url = webUrl.safeParse(address);
    if (!url.success) {
      problems.push(`COMFYUI_INSTANCES: "${redactUrl(address)}" is not an http:// or https:// URL`);
    } else if (instances.some((other) => other.url === url.data)) {
      problems.push(`COMFYUI_INSTANCES: ${redactUrl(url.data)} is named twice`);
    } else {
      const name = label ?? new URL(url.data).host;
      if (instances.some((other) => other.name === name))
        problems.push(`COMFYUI_INSTANCES: two are called ${name}`);
      instances.push({ name, url: url.data, capacity });
    }
  }
  return instances;
}

/** Keeps credentials that somebody wrote into a URL out of messages. */
function redactUrl(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@');
}
