/** What a node class raises because of the faults that are switched on. */
import type { Faults } from './faults.ts';
import type { NodeClass } from './node-class.ts';
import { PythonError } from './python-error.ts';

/** These, and all that show or save something, work without the graphics card. */
const WITHOUT_CARD = ['EmptyImage', 'SolidMask', 'LoadImage', 'ETN_LoadImageBase64'];

export function raisedBy(nodeClass: NodeClass, { nodeErrors, stickyError }: Faults): PythonError | null {
  const broken = nodeErrors[nodeClass.name];
  if (broken) return new PythonError(broken.type ?? 'RuntimeError', broken.message);
  const computes = nodeClass.isOutput !== true && !WITHOUT_CARD.includes(nodeClass.name);
  return stickyError && computes ? new PythonError(stickyError.type, stickyError.message) : null;
}
