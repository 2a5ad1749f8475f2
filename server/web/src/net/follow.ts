/** The server's feeds, followed for as long as one likes. */

/** How long until a feed is asked for again that was answered an error. */
const RETRY_MS = 3_000;

/** Hears each of these events of a feed; `lost` is told when the stream breaks. Gives what ends it. */
export function follow(path: string, heard: Record<string, (data: string) => void>, lost = () => {}): () => void {
  let source: EventSource;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource(path);
    for (const [name, hear] of Object.entries(heard)) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => hear(data));
    }
    source.onerror = () => {
      lost();
      // A browser connects again by itself, unless it was answered an error: by a proxy, or since too many follow.
      if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    };
  };
  open();
  return () => {
    source.close();
    clearTimeout(retry);
  };
}
