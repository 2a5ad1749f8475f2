/** The client's lines of chat. Those that were lost with a connection are sent again on the next. */

import { fault } from "../fault.js";
import type { ChatRefused } from "../wire.js";

/** Most characters of a line. */
const LINE_MAX = 200;
/**
 * How many of the newest lines are kept. The server accepts fewer in the time that it takes to notice
 * that a connection is dead.
 */
const LINES_KEPT = 16;

/**
 * A session's lines, numbered from 1. The server counts the lines that it has received, and the welcome to a
 * resumed session has that count.
 */
export class ChatQueue {
  /** The newest lines, oldest first. */
  readonly #lines: string[] = [];
  /** Number of the newest line. */
  #newest: number;
  /** Number of the newest line that was sent. */
  #sent: number;

  /** The queue of a client that has kept none of the `received` lines. */
  constructor(received: number) {
    this.#newest = this.#sent = received;
  }

  /** Adds a line. Returns why it is rejected, or `null`. */
  push(text: string): ChatRefused | null {
    const line = text.trim();
    if ([...line].length > LINE_MAX) return { reason: "too-long" };
    if (this.#unsent === LINES_KEPT) return { reason: "too-fast", waitMicros: 1_000_000 };
    if (this.#lines.length === LINES_KEPT) this.#lines.shift();
    this.#lines.push(line);
    this.#newest = (this.#newest + 1) >>> 0;
    return null;
  }

  /** The next line to send, or `null`. */
  poll(): string | null {
    const unsent = this.#unsent;
    if (unsent === 0) return null;
    this.#sent = (this.#sent + 1) >>> 0;
    return this.#lines[this.#lines.length - unsent];
  }

  /** Handles a new connection to a server that has `received` lines. */
  resume(received: number): void {
    if (((this.#sent - received) | 0) < 0) fault("the server has received lines that were never sent");
    const unsent = Math.min((this.#newest - received) >>> 0, this.#lines.length);
    this.#sent = (this.#newest - unsent) >>> 0;
  }

  get #unsent(): number {
    return (this.#newest - this.#sent) >>> 0;
  }
}
