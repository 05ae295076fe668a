/**
 * Asks once more at the last moment whether a request may be sent: it may have waited for a connection, and the process
 * may have slept meanwhile. What it asks then is asked right before the bytes are written.
 */
import type { Dispatcher } from 'undici';

/** For `compose`: requests that may change something fail with what `refusal` makes when `mayAct` says no. */
export function lastLook(
  mayAct: () => boolean,
  refusal: () => Error,
): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) =>
    dispatch(options, options.method === 'POST' ? guarded(handler, mayAct, refusal) : handler);
}

function guarded(
  handler: Dispatcher.DispatchHandler,
  mayAct: () => boolean,
  refusal: () => Error,
): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller, context) {
      handler.onRequestStart?.(controller, context);
      if (!mayAct()) controller.abort(refusal());
    },
    onRequestUpgrade: (...told) => handler.onRequestUpgrade?.(...told),
    onResponseStart: (...told) => handler.onResponseStart?.(...told),
    onResponseData: (...told) => handler.onResponseData?.(...told),
    onResponseEnd: (...told) => handler.onResponseEnd?.(...told),
    onResponseError: (...told) => handler.onResponseError?.(...told),
  };
}
