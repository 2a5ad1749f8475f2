/** What a page tells a session, and what it is told. */

import type { Predictor } from "./replica/prediction.js";
import type { Rows } from "./rows.js";
import type { ChatRefused, Line, Player, Welcome } from "./wire.js";

/** The part of a WebSocket that a session uses, so that a page can put something in between. */
export interface Socket {
  binaryType: string;
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

export interface SessionOptions {
  /** Of the server: `http://` or `ws://`, and with TLS `https://` or `wss://`. */
  url: string;
  match?: number | "auto";
  spectate?: boolean;
  name?: string;
  /**
   * On servers that want one. A ticket lets in once, and a session may have to join anew (its server was started
   * again, or its seat was not kept): a function is asked each time, for a ticket to this match. While it fails it is
   * asked again, as a server is that can't be reached; "" is no ticket. The session waits for as long as it takes.
   */
  ticket?: string | ((match: number | "auto") => string | Promise<string>);
  /**
   * What the player wants at this moment: the values of an input. Asked for as often as needed. Values that
   * are not the schema's throw a `RangeError` where it was asked, and nothing is sent.
   */
  input?: () => ArrayLike<number>;
  /** Has one's own player shown at once. */
  predictor?: Predictor;
  /** Where to remember the session, so that a reload of the page takes it up again. */
  storage?: Storage;
  handlers?: Handlers;
  openSocket?: (url: string, subprotocol: string) => Socket;
}

export type SessionState =
  | { type: "connecting" }
  | { type: "playing" }
  /** The connection was lost; the next attempt follows in so many milliseconds. */
  | { type: "resuming"; inMs: number }
  | { type: "ended"; code: number; reason: string };

export interface Handlers {
  state?: (state: SessionState) => void;
  welcome?: (welcome: Welcome) => void;
  /** An input was made for a tick, and is being sent. */
  input?: (tick: number, values: ArrayLike<number>) => void;
  snapshot?: (rows: Rows, tick: number) => void;
  /** Something happened in the match: the schema's name, and the values by theirs. */
  event?: (name: string, values: Record<string, number>, tick: number) => void;
  /** Who has a seat now: all of them, by seat. */
  people?: (players: ReadonlyMap<number, Player>) => void;
  line?: (line: Line) => void;
  chatRefused?: (refused: ChatRefused) => void;
  /** The server goes away within so many milliseconds; the session will try to come back. */
  leaving?: (withinMs: number) => void;
}
