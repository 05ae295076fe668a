/** The time that figures are asked of: the arguments `from` and `to`. */
import { badInput } from './coded-error.ts';
import { momentOf, type TimeInput, timeInputText } from './time-input.ts';

export const NOW: TimeInput = { kind: 'relative', agoMs: 0 };
export const HOUR_AGO: TimeInput = { kind: 'relative', agoMs: 3_600_000 };
export const MONTH_AGO: TimeInput = { kind: 'relative', agoMs: 30 * 86_400_000 };

export interface AskedRange {
  /** Epoch ms. */
  readonly from: number;
  /** Not after now. */
  readonly to: number;
  /** The same for the same arguments, however much later they are sent. */
  readonly text: string;
}

/** @throws BAD_USER_INPUT for a time that is empty or has not begun. */
export function rangeOf(from: TimeInput, to: TimeInput, now: number): AskedRange {
  const [begin, end] = [momentOf(from, now), momentOf(to, now)];
  if (begin >= end) throw badInput('"from" must be before "to"');
  if (begin >= now) throw badInput('"from" must be in the past');
  return { from: begin, to: Math.min(end, now), text: rangeText(from, to) };
}

export function rangeText(from: TimeInput, to: TimeInput): string {
  return `${timeInputText(from)}..${timeInputText(to)}`;
}
