/**
 * Estimates from pongs when the server's ticks are due, on the client's clock. All times in
 * microseconds.
 *
 * A ping reached the server at some time within its round trip, most likely half-way; the time for
 * which the server held it is not part of the round trip. So of the last `SAMPLES` pongs, the one
 * with the shortest round trip gives the best estimate of the offset between the clocks. Two pongs
 * that contradict each other mean that a clock has jumped, as when the client's machine slept; the
 * older pongs are then discarded.
 *
 * The estimate moves smoothly, by at most `SLEW` of the time passed. It jumps only within
 * `SETTLING` of the first pong, when it is wrong by `JUMP_FROM` or more, and with the first pong of
 * another connection: the match may have stood still meanwhile, or gone on in another server, whose
 * clock is another.
 */

import type { Pace, Pong } from "../wire.js";

/** How many pongs are kept. */
const SAMPLES = 16;
/** Largest correction, as a part of the time passed. */
const SLEW = 0.02;
/** How long after the first pong the clock is still being set. */
const SETTLING = 2_000_000;
/** An error of this size or more is corrected at once: the machine has slept. */
const JUMP_FROM = 500_000;
/** Largest difference in rate between two undisturbed clocks, as a part of it. */
const DRIFT = 1 / 10_000;

/** The measurement from one pong. */
interface Sample {
  at: number;
  rtt: number;
  /** What to add to the server's time to get the client's. */
  offset: number;
}

/** When a tick is due by the estimate: at first, at `at`, `due`, then slewing towards `target`. */
interface Estimate {
  tick: number;
  at: number;
  due: number;
  target: number;
}

/** Ticks from `earlier` to `later`, both counted modulo 2^32. */
export function ticksBetween(earlier: number, later: number): number {
  return (later - earlier) | 0;
}

/** The RTT of a ping whose pong arrived `now`, without the time for which the server held it. */
export function roundTrip(pong: Pong, now: number): number {
  return Math.max(0, now - pong.held - pong.clientTime);
}

export class Clock {
  #slowdown = 1;
  #samples: Sample[] = [];
  #estimate: Estimate | null = null;
  #settledAt = 0;
  #isCurrent = false;
  #jitter = 0;

  constructor(readonly hz: number) {}

  /** Handles a pong that arrived `now`. */
  handlePong(pong: Pong, now: number): void {
    if (!this.#estimate) this.#settledAt = now + SETTLING;
    const rtt = roundTrip(pong, now);
    const sample = { at: now, rtt, offset: pong.clientTime + rtt / 2 - pong.serverTime };
    if (this.#samples.some((earlier) => contradict(earlier, sample))) this.#samples = [];
    if (this.#samples.length === SAMPLES) this.#samples.shift();
    this.#samples.push(sample);
    this.#jitter += (rtt - this.#best(now).rtt - this.#jitter) / 8;
    this.#setTarget(pong.tick, pong.tickTime, now);
    this.#isCurrent = true;
  }

  /** Changes the tick interval and the schedule. */
  setPace({ slowdown, tick, tickTime }: Pace, now: number): void {
    if (this.#isCurrent) this.#setTarget(tick, tickTime, now);
    this.#slowdown = slowdown;
  }

  /**
   * Handles the welcome of a new connection: its first pong, and a pace unless ticks are at their
   * normal interval, say how things are now.
   */
  reconnect(): void {
    this.#isCurrent = false;
    this.#slowdown = 1;
  }

  /** Whether a pong has arrived on this connection, so that the estimate can be relied on. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  get isSet(): boolean {
    return this.#estimate !== null;
  }

  /** Whether `SETTLING` has passed since the first pong. */
  isSettled(now: number): boolean {
    return this.#estimate !== null && now >= this.#settledAt;
  }

  /** Time between two ticks. */
  get interval(): number {
    return (1_000_000 / this.hz) * this.#slowdown;
  }

  /** When `tick` was or will be due, by the estimate as of `now`; NaN before the first pong. */
  due(tick: number, now: number): number {
    if (!this.#estimate) return NaN;
    return dueAt(this.#estimate, now) + ticksBetween(this.#estimate.tick, tick) * this.interval;
  }

  /**
   * How much later than `due` returns `now` ticks are really due: what is left of a smooth
   * correction.
   */
  lag(now: number): number {
    return this.#estimate ? this.#estimate.target - dueAt(this.#estimate, now) : 0;
  }

  /**
   * Ticks, with fraction, from `tick` to where the server's match is at `at`, by the estimate as of
   * `now`.
   */
  ticksSince(tick: number, at: number, now: number): number {
    return (at - this.due(tick, now)) / this.interval;
  }

  /** The shortest recent round trip; NaN before the first pong. */
  get rtt(): number {
    if (this.#samples.length === 0) return NaN;
    return this.#samples.reduce((least, { rtt }) => Math.min(least, rtt), Infinity);
  }

  /** By how much round trips usually exceed the shortest. */
  get jitter(): number {
    return this.#jitter;
  }

  /** Makes the estimate move to where `tick` was due at `tickTime` on the server's clock. */
  #setTarget(tick: number, tickTime: number, now: number): void {
    const target = tickTime + this.#best(now).offset;
    const before = this.due(tick, now);
    // Before the first estimate, `before` is NaN, and the comparison false.
    const slews = this.#isCurrent && this.isSettled(now) && Math.abs(target - before) < JUMP_FROM;
    this.#estimate = { tick, at: now, due: slews ? before : target, target };
  }

  #best(now: number): Sample {
    const error = ({ at, rtt }: Sample) => rtt / 2 + (now - at) * DRIFT;
    return this.#samples.reduce((a, b) => (error(b) < error(a) ? b : a));
  }
}

function dueAt({ at, due, target }: Estimate, now: number): number {
  const most = Math.max(0, now - at) * SLEW;
  return due + Math.min(Math.max(target - due, -most), most);
}

/** Whether no undisturbed clock could have given both samples. */
function contradict(earlier: Sample, later: Sample): boolean {
  const drift = (later.at - earlier.at) * DRIFT + 2;
  return Math.abs(earlier.offset - later.offset) > (earlier.rtt + later.rtt) / 2 + drift;
}
