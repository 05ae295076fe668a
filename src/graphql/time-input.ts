/** Moments as clients and Grafana send them: RFC 3339, epoch milliseconds (number or text), `now` or `now-6h`. */

/** A moment, or a distance before the moment it is asked. */
export type TimeInput =
  | { readonly kind: 'absolute'; readonly at: number }
  | { readonly kind: 'relative'; readonly agoMs: number };

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const LATEST = 8_640_000_000_000_000;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

/** Null when it is none of the accepted forms. */
export function parseTimeInput(value: unknown): TimeInput | null {
  if (typeof value === 'number') return absolute(value);
  if (typeof value !== 'string') return null;
  const text = value.trim();
  if (/^-?\d+(\.0+)?$/.test(text)) return absolute(Number(text));
  const relative = /^now(?:-(\d{1,9})(ms|[smhdw]))?$/.exec(text);
  if (relative) {
    const unit = (relative[2] ?? 'ms') as keyof typeof UNIT_MS;
    const agoMs = Number(relative[1] ?? 0) * UNIT_MS[unit];
    return agoMs <= LATEST ? { kind: 'relative', agoMs } : null;
  }
  return RFC_3339.test(text) ? absolute(Date.parse(text)) : null;
}

/** Epoch ms. */
export function momentOf(input: TimeInput, now: number): number {
  return input.kind === 'absolute' ? input.at : now - input.agoMs;
}

/** A text that is read as the same input: what defaults are printed as. */
export function timeInputText(input: TimeInput): string {
  if (input.kind === 'absolute') return String(input.at);
  if (input.agoMs === 0) return 'now';
  const units = Object.entries(UNIT_MS).filter(([, ms]) => ms <= UNIT_MS.d && input.agoMs % ms === 0);
  const [unit, ms] = units.at(-1) ?? ['ms', 1];
  return `now-${input.agoMs / ms}${unit}`;
}

function absolute(at: number): TimeInput | null {
  return Number.isInteger(at) && Math.abs(at) <= LATEST ? { kind: 'absolute', at } : null;
}
