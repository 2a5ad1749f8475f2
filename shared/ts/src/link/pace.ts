/**
 * Input pacing: the server reports how early inputs arrive, and the client makes its ticks a little
 * longer or shorter so that they arrive just in time. All times in microseconds.
 *
 * Every few ticks the server reports the least *lead*, how early an input arrived. The client knows
 * how far ahead of the server's clock it made these inputs; the difference is the longest one-way
 * delay among them. A `Tail` of these delays decides how far ahead the client keeps.
 *
 * A page that was busy or suspended makes up for the ticks of at most `AWAY`. After a longer pause
 * it continues with the tick that is due, and the server repeats the last input for the ticks
 * between: inputs made too late would pass for network delay. A page that always runs this slowly
 * makes one input each time.
 */

import { type Clock, ticksBetween } from "./clock.js";
import { LEAD_MIN } from "./frames.js";
import { AWAY, Tail } from "./tail.js";

/** How early the latest inputs should arrive. */
const MARGIN = 4_000;
/** Largest change of the tick length, as a part of it. */
const STRETCH = 0.04;
/** How far ahead of the server's clock a client is at most: the server's input queue holds more. */
const AHEAD_MAX = 1_400_000;
/** One in this many ticks may lack its input. */
const LATE_ONE_IN = 150;
/** Most inputs that the server has not reported on yet. */
const MADE_MAX = 256;

export class InputPace {
  /** One-way delay of inputs that all but the slowest few stay below. */
  readonly #delay = new Tail(LATE_ONE_IN);
  /** How far ahead of the server's clock inputs are made; NaN before the first. */
  ahead = NaN;
  /** The newest tick for which an input was made, or is too late to make. */
  newest: number | null = null;
  /** When `ahead` was last changed. */
  #aheadAt = 0;
  /** By sequence number: how far ahead an input was made. */
  readonly #made = new Float64Array(MADE_MAX);
  #madeFrom = 0;
  #madeTo = 0;
  /** The newest input that the server has reported on. */
  #reportedTo = 0;

  /** The tick for which to make an input now, or -1. Call this until it returns -1. */
  poll(clock: Clock, now: number): number {
    if (!clock.isSet) return -1;
    this.#advance(clock, now);
    const reference = this.newest ?? 0;
    const missing = Math.floor(clock.ticksSince(reference, now + this.ahead, now));
    const due = (reference + missing) >>> 0;
    if (this.newest === null) {
      // A client that joins in the middle of a tick is too late for it.
      this.newest = due;
      return -1;
    }
    const ticks = Math.abs(missing);
    // Also if the clock was set back by as much: waiting for it would take too long.
    if (ticks > 1 && ticks * clock.interval > AWAY) this.newest = due;
    else if (missing > 0) this.newest = (this.newest + 1) >>> 0;
    else return -1;
    return this.newest;
  }

  /** Records that an input was made, with this number. */
  recordInput(seq: number): void {
    if (this.#madeTo !== seq) {
      this.#madeFrom = seq;
      this.#reportedTo = (seq - 1) >>> 0;
    }
    this.#made[seq % MADE_MAX] = this.ahead;
    this.#madeTo = (seq + 1) >>> 0;
  }

  /**
   * Handles a lead that the server has reported, for inputs up to `processed` or newer ones; ticks
   * are `interval` apart. The least value is ignored: no network is that slow.
   */
  handleLead(lead: number, processed: number, interval: number): void {
    const back = ticksBetween(processed, this.#madeTo);
    const isKnown = back >= 1 && back <= MADE_MAX && ticksBetween(this.#madeFrom, processed) >= 0;
    const ahead = isKnown ? this.#made[processed % MADE_MAX] : this.ahead;
    const ticks = isKnown ? ticksBetween(this.#reportedTo, processed) : 1;
    this.#reportedTo = processed;
    if (Number.isNaN(ahead) || lead <= LEAD_MIN) return;
    // A late input holds up those behind it, each of which is an interval less late.
    if (lead < 0) this.#delay.recordSteps(ahead - lead, ahead, interval);
    else this.#delay.record(ahead - lead, Math.min(Math.max(ticks, 1), MADE_MAX) * interval);
  }

  /** Handles a new connection: no input is in flight, or waits for its tick, any more. */
  reconnect(): void {
    this.newest = null;
    this.#madeFrom = this.#madeTo;
    this.#reportedTo = (this.#madeTo - 1) >>> 0;
  }

  /** Moves `ahead` towards its target, by at most `STRETCH` of the time passed. */
  #advance(clock: Clock, now: number): void {
    const delay = this.#delay.value;
    // Without a report: half of the shortest round trip, and an allowance for jitter.
    const wanted = Number.isNaN(delay) ? clock.rtt / 2 + 2 * clock.jitter + 2 * MARGIN : delay + MARGIN;
    const target = Math.min(Math.max(wanted, 0), AHEAD_MAX);
    const most = Math.max(0, now - this.#aheadAt) * STRETCH;
    this.ahead = Number.isNaN(this.ahead)
      ? target
      : this.ahead + Math.min(Math.max(target - this.ahead, -most), most);
    this.#aheadAt = now;
  }
}
