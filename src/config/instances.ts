/** COMFYUI_INSTANCES: the instances that the configuration names. */
import { type Address, nameOfAddress, parseAddress } from '../lib/address.ts';
import { list } from './values.ts';

/** A ComfyUI instance named in COMFYUI_INSTANCES. */
export interface ConfiguredInstance {
  readonly name: string;
  /** Base URL without a login or a trailing slash. */
  readonly url: string;
  readonly login?: Address['login'];
  readonly capacity: number;
}

/** `url` or `name=url`, separated by commas. Problems name an entry by its number: it may hold a password. */
export function parseInstances(text: string, capacity: number, problems: string[]): ConfiguredInstance[] {
  const instances: ConfiguredInstance[] = [];
  for (const [index, entry] of list.parse(text).entries()) {
    const [, label, address = ''] = /^(?:([\w.-]+)=)?(.*)$/.exec(entry) ?? [];
    const parsed = parseAddress(address);
    if (!parsed.ok) {
      problems.push(`COMFYUI_INSTANCES: entry ${index + 1} ${parsed.problem}`);
    } else if (instances.some((other) => other.url === parsed.address.url)) {
      problems.push(`COMFYUI_INSTANCES: ${parsed.address.url} is named twice`);
    } else {
      const name = label ?? nameOfAddress(parsed.address);
      if (instances.some((other) => other.name === name))
        problems.push(`COMFYUI_INSTANCES: two are called ${name}`);
      instances.push({ name, ...parsed.address, capacity });
    }
  }
  return instances;
}
