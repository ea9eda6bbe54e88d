// Lists that the page asks for beside the state (pending entries, dead letters): again when something changed, and now and then.

/**
 * Asks again when what it is given as `sign` has changed, or after `seconds`; never twice at a time.
 * What `ask(...given)` gives goes to `show`.
 */
export function fetcher({ ask, show, seconds }) {
  const kept = { sign: null, at: -Infinity, busy: false };
  return async (sign, ...given) => {
    if (kept.busy || (sign === kept.sign && performance.now() - kept.at < seconds * 1000)) return;
    kept.busy = true;
    try {
      show(await ask(...given));
      kept.sign = sign;
    } catch {
      kept.sign = null; // where the server is away the banner says it; this is asked for again
    } finally {
      kept.busy = false;
      kept.at = performance.now();
    }
  };
}
