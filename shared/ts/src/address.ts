/** The parts of a server's URL. */
export interface Address {
  /** The URL of the WebSocket, without a query. */
  play: URL;
  match: number | "auto" | null;
  mode: string | null;
  ticket: string | null;
  spectate: boolean;
}

/** Parses the URL of a server, or one from the answer to `POST /v1/join`. */
export function readAddress(text: string): Address {
  const play = parse(text);
  play.protocol = play.protocol.replace("http", "ws");
  if (!play.pathname.endsWith("/v1/play")) play.pathname = play.pathname.replace(/\/?$/, "/v1/play");
  const query = play.searchParams;
  const [match, mode, ticket] = ["match", "mode", "ticket"].map((name) => query.get(name));
  const spectate = query.get("role") === "spectator";
  play.search = play.hash = "";
  // Only digits: `Number("")` is 0.
  const wanted = match !== null && /^\d+$/.test(match) ? Number(match) : match;
  return { play, match: wanted === null ? null : checkMatch(wanted), mode, ticket, spectate };
}

/** Throws a `TypeError` unless this is a match's id or "auto". */
export function checkMatch(match: number | string): number | "auto" {
  if (match === "auto" || (typeof match === "number" && match === match >>> 0)) return match;
  const shown = typeof match === "number" ? match : JSON.stringify(match);
  throw new TypeError(`match is ${shown}, neither "auto" nor the id of a match`);
}

function parse(text: string): URL {
  try {
    const url = new URL(text);
    if (/^(http|ws)s?:$/.test(url.protocol)) return url;
  } catch {
    // Not a URL at all: the same error as for other protocols.
  }
  throw new TypeError(`url is ${JSON.stringify(text)}, and should be such as https://play.example or ws://127.0.0.1:8080`);
}
