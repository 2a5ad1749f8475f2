/**
 * One's own player, shown without waiting for the server: the game's own rule runs the inputs that
 * the server has not yet processed, from the newest state that it has told.
 *
 * When the server's answer is not what was predicted, the difference is a *correction*: the state
 * is put right at once, and what is shown glides there.
 */

import { ticksBetween } from "../link/clock.js";
import type { Rows } from "../rows.js";
import { shorterWay } from "./circle.js";

/** What a game does to have a player predicted. A state is a few integers. */
export interface Predictor {
  /** Integers of a state. */
  readonly length: number;
  /** What of it is shown. */
  readonly shown: readonly Shown[];
  /** Reads the state of a seat's player, if there is one to be predicted. */
  read(rows: Rows, seat: number, state: Int32Array): boolean;
  /** Moves a state by one tick. */
  step(state: Int32Array, input: Int32Array, hz: number): void;
}

/** An integer of a state that is shown, and glides when it is corrected. */
export interface Shown {
  /** Which one. */
  at: number;
  /** What is corrected by more than this was put elsewhere, and nothing of it glides there. */
  jumpFrom: number;
  /** Of an angle: steps of a full turn, since it glides the shorter way round. */
  circle?: number;
}

/** Ticks that are kept: more than an input may be on its way. */
const KEPT = 512;
/** How fast what is shown glides: half of the way in 50 ms. */
const GLIDE_PER_S = Math.LN2 / 0.05;

export class Prediction {
  readonly #states: Int32Array[];
  readonly #inputs: Int32Array[];
  readonly #ticks = new Float64Array(KEPT).fill(-1);
  readonly #told: Int32Array;
  readonly #next: Int32Array;
  readonly #held: Int32Array;
  /** What the server repeats when no input comes. */
  readonly #repeated: Int32Array;
  /** The newest tick that was predicted, or -1. */
  #newest = -1;
  #isOn = false;
  /** What is shown beside what is predicted, by `shown` of the predictor. */
  readonly #offset: Float64Array;
  /** What was predicted before a correction. */
  readonly #before: Float64Array;
  #glidedAt = 0;
  /** Answers of the server, and of them those that were not as predicted. */
  answers = 0;
  corrections = 0;
  /** What is to be shown, by `shown` of the predictor. Angles may be beyond a full turn. */
  readonly values: Float64Array;

  constructor(
    readonly predictor: Predictor,
    readonly seat: number,
    readonly hz: number,
    inputLength: number,
  ) {
    const slots = (length: number) => Array.from({ length: KEPT }, () => new Int32Array(length));
    this.#states = slots(predictor.length);
    this.#inputs = slots(inputLength);
    this.#told = new Int32Array(predictor.length);
    this.#next = new Int32Array(predictor.length);
    this.#held = new Int32Array(inputLength);
    this.#repeated = new Int32Array(inputLength);
    this.#offset = new Float64Array(predictor.shown.length);
    this.#before = new Float64Array(predictor.shown.length);
    this.values = new Float64Array(predictor.shown.length);
  }

  /** Whether there is a player to show. */
  get isOn(): boolean {
    return this.#isOn && this.#newest >= 0;
  }

  /** The connection was lost and there is a new one: the server has let go of what was held. */
  restart(): void {
    this.#repeated.fill(0);
  }

  /** An input was made for a tick. In ticks that were left out the server repeats the input before them. */
  input(tick: number, values: ArrayLike<number>): void {
    const gap = this.#newest < 0 ? 0 : ticksBetween(this.#newest, tick);
    for (let n = Math.min(gap, KEPT) - 1; n >= 1; n--) {
      this.#run((tick - n) >>> 0, this.#newest, this.#inputs[this.#newest % KEPT]);
    }
    this.#run(tick, gap > 0 ? this.#newest : (tick - 1) >>> 0, values);
    this.#repeated.set(values);
  }

  #run(tick: number, before: number, values: ArrayLike<number>): void {
    const slot = tick % KEPT;
    this.#ticks[slot] = tick;
    this.#inputs[slot].set(values);
    this.#states[slot].set(this.#states[before % KEPT]);
    if (this.#isOn) this.predictor.step(this.#states[slot], this.#inputs[slot], this.hz);
    this.#newest = tick;
  }

  /** The server has told how it was at a tick. */
  answer(tick: number, rows: Rows): void {
    const told = this.#told;
    const wasOn = this.#isOn;
    this.#isOn = this.predictor.read(rows, this.seat, told);
    if (!this.#isOn) return;
    const ahead = this.#newest < 0 ? -1 : ticksBetween(tick, this.#newest);
    const slot = tick % KEPT;
    if (ahead < 0 || ahead >= KEPT || this.#ticks[slot] !== tick) {
      // Nothing was predicted for this tick: what is known of later ones starts here.
      this.#ticks[slot] = tick;
      // Of later ticks than any that an input was made for, it is the last that counts.
      if (ahead < 0) this.#inputs[slot].set(this.#repeated);
      else this.#inputs[slot].fill(0);
      this.#states[slot].set(told);
      if (ahead < 0) this.#newest = tick;
      else this.#replay(tick);
      this.#offset.fill(0);
      return;
    }
    this.answers++;
    const isRight = told.every((value, i) => value === this.#states[slot][i]);
    if (isRight && wasOn) return;
    if (wasOn) this.corrections++;
    const newest = this.#states[this.#newest % KEPT];
    const { shown } = this.predictor;
    for (let n = 0; n < shown.length; n++) this.#before[n] = newest[shown[n].at];
    this.#states[slot].set(told);
    this.#replay(tick);
    let isJump = !wasOn;
    for (let n = 0; n < shown.length; n++) {
      const off = shortest(this.#before[n] - newest[shown[n].at], shown[n]);
      isJump ||= Math.abs(off) > shown[n].jumpFrom;
      this.#offset[n] = shortest(this.#offset[n] + off, shown[n]);
    }
    if (isJump) this.#offset.fill(0);
  }

  /** Runs all inputs after a tick again. */
  #replay(tick: number): void {
    const count = Math.min(ticksBetween(tick, this.#newest), KEPT - 1);
    for (let n = 1; n <= count; n++) {
      const at = (tick + n) >>> 0;
      const slot = at % KEPT;
      if (this.#ticks[slot] !== at) {
        this.#ticks[slot] = at;
        this.#inputs[slot].set(this.#inputs[((at - 1) >>> 0) % KEPT]);
      }
      this.#states[slot].set(this.#states[((at - 1) >>> 0) % KEPT]);
      this.predictor.step(this.#states[slot], this.#inputs[slot], this.hz);
    }
  }

  /**
   * Puts what is to be shown into `values`: `part` (0 to 1) of a tick after the newest input, on
   * its way to where the input of this moment would bring it, so that a key shows at once.
   */
  look(part: number, input: ArrayLike<number>, now: number): void {
    // A session that was taken up again has made inputs, but none for this prediction yet.
    if (this.#newest < 0) return;
    const passed = Math.max(0, now - this.#glidedAt) / 1e6;
    this.#glidedAt = now;
    const rest = Math.exp(-GLIDE_PER_S * passed);
    const newest = this.#states[this.#newest % KEPT];
    const { shown } = this.predictor;
    this.#next.set(newest);
    this.#held.set(input);
    this.predictor.step(this.#next, this.#held, this.hz);
    const near = Math.min(Math.max(part, 0), 1);
    for (let n = 0; n < shown.length; n++) {
      const { at, jumpFrom } = shown[n];
      const way = shortest(this.#next[at] - newest[at], shown[n]);
      this.#offset[n] *= rest;
      this.values[n] = newest[at] + this.#offset[n] + (Math.abs(way) > jumpFrom ? 0 : way * near);
    }
  }
}

function shortest(way: number, { circle }: Shown): number {
  return circle ? shorterWay(way, circle) : way;
}
