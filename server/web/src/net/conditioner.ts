/**
 * Simulates a bad network in the page: a WebSocket whose messages are delayed in both directions, and
 * occasionally stall. As with TCP, no message is lost or reordered.
 */

import type { Socket } from "@tickwire/client";

export interface Conditions {
  /** Added to the round trip, in ms: half of it each way. */
  latency: number;
  /** Largest random delay that is added each way, in ms. */
  jitter: number;
  /** Index in `STALLS`. */
  stalls: number;
}

/** How often all messages stall, in stalls per second, and for how long on average. */
export const STALLS: readonly { name: string; perS: number; ms: number }[] = [
  { name: "never", perS: 0, ms: 0 },
  { name: "now and then", perS: 0.15, ms: 250 },
  { name: "often", perS: 0.5, ms: 350 },
  { name: "all the time", perS: 1.2, ms: 500 },
];

/** The current conditions, for all sockets of the page. */
export const CONDITIONS: Conditions = { latency: 0, jitter: 0, stalls: 0 };

let stalledUntil = 0;

setInterval(() => {
  const { perS, ms } = STALLS[CONDITIONS.stalls];
  if (Math.random() < perS / 10) stalledUntil = performance.now() + ms * (0.5 + Math.random());
}, 100);

/** One direction: messages are delivered in order, in whatever order the timers fire. */
class Direction {
  #latest = 0;
  readonly #waiting: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  pass(deliver: () => void): void {
    const now = performance.now();
    const { latency, jitter } = CONDITIONS;
    const due = Math.max(now + latency / 2 + Math.random() * jitter, stalledUntil, this.#latest);
    if (due <= now && this.isEmpty) return deliver();
    this.#latest = due;
    this.#waiting.push(deliver);
    setTimeout(() => this.#waiting.shift()?.(), due - now);
  }
}

/** A WebSocket under the conditions above. */
export function openConditioned(url: string, subprotocol: string): Socket {
  const socket = new WebSocket(url, subprotocol);
  const [there, back] = [new Direction(), new Direction()];
  const conditioned: Socket = {
    get binaryType() {
      return socket.binaryType;
    },
    set binaryType(type: string) {
      socket.binaryType = type as BinaryType;
    },
    get readyState() {
      return socket.readyState;
    },
    onopen: null,
    onmessage: null,
    onclose: null,
    send(bytes) {
      const { latency, jitter, stalls } = CONDITIONS;
      if (latency + jitter + stalls === 0 && there.isEmpty) return socket.send(bytes);
      // The caller reuses its buffer.
      const copy = bytes.slice();
      there.pass(() => socket.readyState === 1 && socket.send(copy));
    },
    close: (code, reason) => socket.close(code, reason),
  };
  socket.onopen = (event) => back.pass(() => conditioned.onopen?.(event));
  socket.onmessage = (event) => back.pass(() => conditioned.onmessage?.(event));
  socket.onclose = (event) => back.pass(() => conditioned.onclose?.(event));
  return conditioned;
}
