/** The options, states and handlers of a `Session`. */

import type { Predictor } from "./replica/prediction.js";
import type { Store } from "./remembered.js";
import type { Rows } from "./rows.js";
import type { ChatRefused, Line, Player, Welcome } from "./wire.js";

/** The part of a WebSocket that a session uses, so that a page can use another implementation or wrap one. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror?: ((event: any) => void) | null;
  /** The buffer is reused after the call: an implementation that sends later must copy the bytes. */
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface SessionOptions {
  /**
   * The server's URL: `http://` or `ws://`, with TLS `https://` or `wss://`, and any path prefix of a proxy. Or the
   * `url` in the answer to `POST /v1/join`, whose match, mode, role and ticket are the defaults of the options below.
   */
  url: string;
  /** A match's id, or "auto" (the default) to let the server choose one. */
  match?: number | "auto" | undefined;
  /** With "auto", one of the game's modes. The default is the game's first one. */
  mode?: string | undefined;
  /** Whether to watch without a seat. */
  spectate?: boolean | undefined;
  /** The player's name as others see it. The server cleans it, and chooses one when it is empty. */
  name?: string | undefined;
  /**
   * For servers with a key. A ticket admits a client once, but a session may have to join again (the server was
   * restarted, or the seat was not kept). A function is called for each join, to get a ticket for `match`; "" means no
   * ticket. The session waits until it resolves. If it rejects, the error's message is part of the state's reason, and
   * it is called again later, with the same backoff as for lost connections, unless the page closes the session. The
   * body of `POST /v1/join` is `{ "match": match }`, with the `mode` beside it while `match` is "auto".
   */
  ticket?: string | ((match: number | "auto") => string | Promise<string>) | undefined;
  /**
   * Returns the player's current input: its integers as the schema lists them, or by name, as in `{ x: 1 }`. Those that
   * are left out are 0, or as near to it as their range allows. It is called whenever an input is due, and for
   * prediction in each frame. If the values don't fit the schema, `Session.frame` throws a `RangeError`, and nothing is
   * sent.
   */
  input?: () => ArrayLike<number> | Readonly<Record<string, number>>;
  /** The game's rule, with which the player's own entity is predicted. */
  predictor?: Predictor;
  /**
   * Where to remember the seat, so that a reloaded page resumes its session. Use `sessionStorage`: all tabs share
   * `localStorage`, and the tab that resumes a session last takes it from the others. A seat is resumed if it is in the
   * match that is asked for, or if that is "auto": before a page requests another match from its backend, it should
   * check `Session.isRemembered`. After a session has ended because the server could not be reached, a new one resumes
   * the seat, if the server still keeps it.
   */
  storage?: Store | undefined;
  handlers?: Handlers;
  /** Opens a socket; the default is a `WebSocket`. */
  openSocket?: (url: string, subprotocol: string) => Socket;
}

export type SessionState =
  | { type: "connecting" }
  | { type: "playing" }
  /** There is no connection; `code` and `reason` are those of its close. The next attempt follows after `inMs`. */
  | { type: "resuming"; inMs: number; code: number; reason: string }
  /** The session is over: the page closed it, the server ended it, or reconnecting has failed for a minute. */
  | { type: "ended"; code: number; reason: string };

export interface Handlers {
  /** The state has changed; not called for the first one, "connecting". */
  state?: (state: SessionState) => void;
  /**
   * The server has accepted the hello, at first or after a reconnection. Read the schema from `session.link`: the
   * welcome to a resumed session may have none.
   */
  welcome?: (welcome: Welcome) => void;
  /** An input was made for a tick, and sent. */
  input?: (tick: number, values: ArrayLike<number>) => void;
  /** A snapshot was applied. */
  snapshot?: (rows: Rows, tick: number) => void;
  /**
   * Something happened in the match; `name` and the names of `values` are the schema's. It arrives before the screen
   * shows its tick: keep it until `session.others.shown` has reached that, if it belongs to what players see.
   */
  event?: (name: string, values: Record<string, number>, tick: number) => void;
  /** A player joined, left, lost the connection or came back. All players with a seat, by seat, in a new map. */
  people?: (players: ReadonlyMap<number, Player>) => void;
  /** A line of chat, or a notice. */
  line?: (line: Line) => void;
  /** A line of chat that this session sent, or tried to send, was rejected. */
  chatRefused?: (refused: ChatRefused) => void;
  /** The server is draining, and closes the connection within `withinMs`; the session then tries to reconnect. */
  leaving?: (withinMs: number) => void;
}
