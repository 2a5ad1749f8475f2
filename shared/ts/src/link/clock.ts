/**
 * When the server's ticks are due, on the client's clock, from pongs. All times in microseconds.
 *
 * Of each pong it is certain that the ping arrived while the round trip lasted, and likely that
 * this was half-way; how long the server held it is not part of the round trip. So the pong with
 * the shortest round trip of the last 16 tells best, and two that contradict each other mean that
 * the machine slept: then the older ones are forgotten.
 *
 * What is told moves smoothly, by 2 % at most. It jumps only just after the first pong, and when it
 * is wrong by more than half a second.
 */

import type { Pace, Pong } from "../wire.js";

const SAMPLES = 16;
const SLEW = 0.02;
const SETTLING = 2_000_000;
const JUMP_FROM = 500_000;
/** By how much two clocks that nobody touches may differ in pace. */
const DRIFT = 1 / 10_000;

/** What a pong told. */
interface Sample {
  at: number;
  rtt: number;
  /** What to add to the server's time to get the client's. */
  offset: number;
}

/** When a tick is told to be due: on its way from `due` at `at` to `target`. */
interface Shown {
  tick: number;
  at: number;
  due: number;
  target: number;
}

/** From `earlier` to `later`, both counted modulo 2^32. */
export function ticksBetween(earlier: number, later: number): number {
  return (later - earlier) | 0;
}

/** How long ping and pong travelled, when the pong arrives `now`. */
export function roundTrip(pong: Pong, now: number): number {
  return Math.max(0, now - pong.held - pong.clientTime);
}

export class Clock {
  #slowdown = 1;
  #samples: Sample[] = [];
  #shown: Shown | null = null;
  #settledAt = 0;
  #jitter = 0;

  constructor(readonly hz: number) {}

  /** Takes in a pong that arrived `now`. */
  hear(pong: Pong, now: number): void {
    if (!this.#shown) this.#settledAt = now + SETTLING;
    const rtt = roundTrip(pong, now);
    const sample = { at: now, rtt, offset: pong.clientTime + rtt / 2 - pong.serverTime };
    if (this.#samples.some((earlier) => contradict(earlier, sample))) this.#samples = [];
    if (this.#samples.length === SAMPLES) this.#samples.shift();
    this.#samples.push(sample);
    this.#jitter += (rtt - this.#best(now).rtt - this.#jitter) / 8;
    this.#learn(pong.tick, pong.tickTime, now);
  }

  /** Takes in how far apart ticks are from now on. */
  setPace({ slowdown, tick, tickTime }: Pace, now: number): void {
    if (this.#shown) this.#learn(tick, tickTime, now);
    this.#slowdown = slowdown;
  }

  get isSet(): boolean {
    return this.#shown !== null;
  }

  /** Whether it moves only smoothly from now on. */
  isSettled(now: number): boolean {
    return this.#shown !== null && now >= this.#settledAt;
  }

  /** Microseconds from a tick to the next. */
  get interval(): number {
    return (1_000_000 / this.hz) * this.#slowdown;
  }

  /** When `tick` was or will be due, as far as is known `now`; NaN before the first pong. */
  due(tick: number, now: number): number {
    if (!this.#shown) return NaN;
    return dueAt(this.#shown, now) + ticksBetween(this.#shown.tick, tick) * this.interval;
  }

  /**
   * How much later than is told ticks are due, as far as is known `now`: what is left of a correction
   * that is made smoothly.
   */
  lag(now: number): number {
    return this.#shown ? this.#shown.target - dueAt(this.#shown, now) : 0;
  }

  /**
   * How far the server's match is beyond `tick` at `at`, in ticks and parts of them, as far as is
   * known `now`.
   */
  ticksSince(tick: number, at: number, now: number): number {
    return (at - this.due(tick, now)) / this.interval;
  }

  /** Shortest round trip of late; NaN before the first. */
  get rtt(): number {
    if (this.#samples.length === 0) return NaN;
    return this.#samples.reduce((least, { rtt }) => Math.min(least, rtt), Infinity);
  }

  /** By how much round trips usually exceed the shortest. */
  get jitter(): number {
    return this.#jitter;
  }

  /** `tick` was due at `tickTime` on the server's clock. */
  #learn(tick: number, tickTime: number, now: number): void {
    const target = tickTime + this.#best(now).offset;
    const before = this.due(tick, now);
    // Not before the first, of which NaN says that nothing is near it.
    const slews = this.isSettled(now) && Math.abs(target - before) < JUMP_FROM;
    this.#shown = { tick, at: now, due: slews ? before : target, target };
  }

  #best(now: number): Sample {
    const error = ({ at, rtt }: Sample) => rtt / 2 + (now - at) * DRIFT;
    return this.#samples.reduce((a, b) => (error(b) < error(a) ? b : a));
  }
}

function dueAt({ at, due, target }: Shown, now: number): number {
  const most = Math.max(0, now - at) * SLEW;
  return due + Math.min(Math.max(target - due, -most), most);
}

/** Whether no clock that runs evenly fits both. */
function contradict(earlier: Sample, later: Sample): boolean {
  const drift = (later.at - earlier.at) * DRIFT + 2;
  return Math.abs(earlier.offset - later.offset) > (earlier.rtt + later.rtt) / 2 + drift;
}
