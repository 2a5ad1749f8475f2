/**
 * Inputs that arrive just in time. All times in microseconds.
 *
 * The server tells every few ticks how early the latest inputs came; the client knows how far ahead
 * of the server's clock it made them, so the difference is how long the way took at worst. It keeps
 * ahead by that and a margin, making its ticks a little longer or shorter.
 *
 * A page that was kept from its work makes up for the ticks of `AWAY` at most. When it was kept for
 * longer, it goes on with the tick that is due, and the server repeats what it has: inputs that were
 * made too late would be held against the network. One that is always as slow as that makes an input
 * each time.
 */

import { type Clock, ticksBetween } from "./clock.js";
import { LEAD_MIN } from "./frames.js";
import { AWAY, Tail } from "./tail.js";

/** How early the latest inputs are meant to come. */
const MARGIN = 4_000;
/** Change of tick length per tick length. */
const STRETCH = 0.04;
/** A client is never further ahead than this; inputs may wait for longer. */
const AHEAD_MAX = 1_400_000;
/** One tick of so many may have to do without its input. */
const LATE_ONE_IN = 150;
/** Inputs whose lead may not be known yet. */
const MADE_MAX = 256;

export class Pace {
  readonly #way = new Tail(LATE_ONE_IN);
  /** How far ahead of the server's clock inputs are made; NaN before the first. */
  ahead = NaN;
  /** The newest tick for which an input was made, or whose time is over. */
  newest: number | null = null;
  #at = 0;
  /** By sequence number: how far ahead an input was made. */
  readonly #made = new Float64Array(MADE_MAX);
  #madeFrom = 0;
  #madeTo = 0;
  /** The newest that the server has told about. */
  #toldTo = 0;

  /** The tick for which an input is to be made now, or -1. Ask until there is none. */
  poll(clock: Clock, now: number): number {
    if (!clock.isSet) return -1;
    this.#advance(clock, now);
    const reference = this.newest ?? 0;
    const missing = Math.floor(clock.ticksSince(reference, now + this.ahead, now));
    const due = (reference + missing) >>> 0;
    if (this.newest === null) {
      // Who comes into the middle of a tick is too late for it.
      this.newest = due;
      return -1;
    }
    const ticks = Math.abs(missing);
    // Nor is a clock waited for that was set back by so much.
    if (ticks > 1 && ticks * clock.interval > AWAY) this.newest = due;
    else if (missing > 0) this.newest = (this.newest + 1) >>> 0;
    else return -1;
    return this.newest;
  }

  /** An input was made and numbered. */
  made(seq: number): void {
    if (this.#madeTo !== seq) {
      this.#madeFrom = seq;
      this.#toldTo = (seq - 1) >>> 0;
    }
    this.#made[seq % MADE_MAX] = this.ahead;
    this.#madeTo = (seq + 1) >>> 0;
  }

  /**
   * The server told how early inputs came, of which it has processed those up to `processed`; ticks
   * are `interval` apart. What came later than can be told is ignored: no network does that.
   */
  hear(lead: number, processed: number, interval: number): void {
    const back = ticksBetween(processed, this.#madeTo);
    const isKnown = back >= 1 && back <= MADE_MAX && ticksBetween(this.#madeFrom, processed) >= 0;
    const ahead = isKnown ? this.#made[processed % MADE_MAX] : this.ahead;
    const ticks = isKnown ? ticksBetween(this.#toldTo, processed) : 1;
    this.#toldTo = processed;
    if (Number.isNaN(ahead) || lead <= LEAD_MIN) return;
    // Who comes late has those behind it waiting, each an interval less late than the one before.
    if (lead < 0) this.#way.hearSteps(ahead - lead, ahead, interval);
    else this.#way.hear(ahead - lead, Math.min(Math.max(ticks, 1), MADE_MAX) * interval);
  }

  /** A new connection: nothing is on its way any more. */
  reconnect(): void {
    this.#madeFrom = this.#madeTo;
    this.#toldTo = (this.#madeTo - 1) >>> 0;
  }

  /** Goes towards where the client should be, a little for the time that has passed. */
  #advance(clock: Clock, now: number): void {
    const way = this.#way.value;
    // Before anything was told: half of a round trip, and what may come on top.
    const wanted = Number.isNaN(way) ? clock.rtt / 2 + 2 * clock.jitter + 2 * MARGIN : way + MARGIN;
    const target = Math.min(Math.max(wanted, 0), AHEAD_MAX);
    const most = Math.max(0, now - this.#at) * STRETCH;
    this.ahead = Number.isNaN(this.ahead)
      ? target
      : this.ahead + Math.min(Math.max(target - this.ahead, -most), most);
    this.#at = now;
  }
}
