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
  const isAny = match === null || match === "auto";
  return { play, match: isAny ? match : checkMatch(Number(match)), mode, ticket, spectate };
}

/** Throws a `TypeError` unless this is a match's id or "auto". */
export function checkMatch(match: number | "auto"): number | "auto" {
  const isId = Number.isInteger(match) && Number(match) >= 0 && Number(match) < 2 ** 32;
  if (match === "auto" || isId) return match;
  throw new TypeError(`match is ${String(match)}, neither "auto" nor the id of a match`);
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
