/** Follows the server's feeds (server-sent events), and reconnects to them. */

/** Time until a feed is requested again that was answered with an error. */
const RETRY_MS = 3_000;

/**
 * Calls a listener for each event of a feed, by the event's name, and `lost` when the stream breaks. Returns a
 * function that ends it.
 */
export function follow(path: string, listeners: Record<string, (data: string) => void>, lost = () => {}): () => void {
  let source: EventSource;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource(path);
    for (const [name, listener] of Object.entries(listeners)) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => listener(data));
    }
    source.onerror = () => {
      lost();
      // A browser reconnects by itself, except after an error: from a proxy, or because the feed has too many clients.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    source.close();
    clearTimeout(retry);
  };
}
