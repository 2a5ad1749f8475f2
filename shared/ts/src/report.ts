/** Calls a function of the page, and reports its exceptions to the page. */
export function call<A extends unknown[]>(handler: ((...args: A) => void) | undefined, ...args: A): void {
  try {
    handler?.(...args);
  } catch (error) {
    report(error);
  }
}

/** Reports an error as if it had not been caught. Node has no `reportError`. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
