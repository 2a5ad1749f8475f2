/** Calls what a page wrote, whose exceptions are for the page. */
export function call<A extends unknown[]>(handler: ((...args: A) => void) | undefined, ...args: A): void {
  try {
    handler?.(...args);
  } catch (error) {
    report(error);
  }
}

/** As if nobody had caught it. Node has no such function. */
export function report(error: unknown): void {
  if (typeof reportError === "function") reportError(error);
  else console.error(error);
}
