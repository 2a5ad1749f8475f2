/** What a page tells a session, and what it is told. */

import type { Predictor } from "./replica/prediction.js";
import type { Store } from "./remembered.js";
import type { Rows } from "./rows.js";
import type { ChatRefused, Line, Player, Welcome } from "./wire.js";

/** The part of a WebSocket that a session uses, so that a page can put something in between. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror?: ((event: any) => void) | null;
  /** The bytes are used again: whoever sends them later copies them. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface SessionOptions {
  /**
   * Of the server: `http://` or `ws://`, and with TLS `https://` or `wss://`, with the path that a proxy adds. Or the
   * `url` that `POST /v1/join` answered, which says match, role and ticket where the options do not.
   */
  url: string;
  match?: number | "auto" | undefined;
  /** Of any match: one of the game's modes. The first, if unsaid. */
  mode?: string | undefined;
  spectate?: boolean | undefined;
  name?: string | undefined;
  /**
   * On servers that want one. A ticket lets in once, and a session may have to join anew (its server was started
   * again, or its seat was not kept): a function is asked each time, for a ticket to this match. While it fails it is
   * asked again, as a server is that can't be reached; "" is no ticket. The session waits for as long as it takes.
   * `{ "match": match }` is what `POST /v1/join` takes.
   */
  ticket?: string | ((match: number | "auto") => string | Promise<string>) | undefined;
  /**
   * What the player wants at this moment: the values of an input. Asked for as often as needed. Values that
   * are not the schema's throw a `RangeError` where it was asked, and nothing is sent.
   */
  input?: () => ArrayLike<number>;
  /** Has one's own player shown at once. */
  predictor?: Predictor;
  /**
   * Where to remember the seat, so that a reload of the page takes it up again: `sessionStorage`, since all tabs share
   * `localStorage`, and a seat goes to the one that came last.
   */
  storage?: Store | undefined;
  handlers?: Handlers;
  openSocket?: (url: string, subprotocol: string) => Socket;
}

export type SessionState =
  | { type: "connecting" }
  | { type: "playing" }
  /** There is no connection, for this reason; the next attempt follows in so many milliseconds. */
  | { type: "resuming"; inMs: number; code: number; reason: string }
  /** For good: the page left, the server wants it no more, or nothing came of trying again for a minute. */
  | { type: "ended"; code: number; reason: string };

export interface Handlers {
  /** It is another one than before; at first it is "connecting". */
  state?: (state: SessionState) => void;
  /** The server has let us in, again after each loss. The schema is in `session.link`: a server tells it once. */
  welcome?: (welcome: Welcome) => void;
  /** An input was made for a tick, and sent. */
  input?: (tick: number, values: ArrayLike<number>) => void;
  snapshot?: (rows: Rows, tick: number) => void;
  /** Something happened in the match: the schema's name, and the values by theirs. */
  event?: (name: string, values: Record<string, number>, tick: number) => void;
  /** Who has a seat now: all of them, by seat, in a new map each time. */
  people?: (players: ReadonlyMap<number, Player>) => void;
  line?: (line: Line) => void;
  chatRefused?: (refused: ChatRefused) => void;
  /** The server goes away within so many milliseconds; the session will try to come back. */
  leaving?: (withinMs: number) => void;
}
