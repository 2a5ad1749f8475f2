/**
 * Prediction and reconciliation of the player's own entity: the game's own rule is applied to each
 * input as it is made, without waiting for the server.
 *
 * Each snapshot has the entity's true state after the input of its tick. If that is not what was
 * predicted, it is a *correction*: the later inputs are replayed from that state, and the visible
 * error fades.
 */

import { ticksBetween } from "../link/clock.js";
import type { Rows } from "../rows.js";
import { shorterWay } from "./circle.js";

/** The part of a game's rules that a client can predict. A player's state is a few integers. */
export interface Predictor {
  /** Number of integers in a state. */
  readonly length: number;
  /** The integers of a state that are shown. */
  readonly shown: readonly Shown[];
  /**
   * Reads the state of a seat's player from a snapshot: its rows, and the values that only this seat's
   * player receives. Returns `false` while there is nothing to predict, such as for a dead player.
   */
  read(rows: Rows, owner: Int32Array, seat: number, state: Int32Array): boolean;
  /** Advances a state by one tick and one input, exactly as the server does. */
  step(state: Int32Array, input: Int32Array, hz: number): void;
}

/** An integer of a state that is shown, and whose error fades after a correction. */
export interface Shown {
  /** Its index in the state. */
  at: number;
  /**
   * If one integer is corrected by more than its `jumpFrom`, the server has moved the player, such as
   * by a respawn: all are shown at their new values at once.
   */
  jumpFrom: number;
  /** For an angle: steps of a full turn. Its error fades the shorter way round. */
  circle?: number;
}

/** Ticks that are kept: more than an input may be in flight. */
const KEPT = 512;
/** How fast errors fade: half in 50 ms. */
const FADE_PER_S = Math.LN2 / 0.05;

export class Prediction {
  readonly #states: Int32Array[];
  readonly #inputs: Int32Array[];
  readonly #ticks = new Float64Array(KEPT).fill(-1);
  /** The server's state in the newest snapshot. */
  readonly #actual: Int32Array;
  readonly #next: Int32Array;
  readonly #held: Int32Array;
  /** The newest input, which the server repeats when the next one is missing. */
  readonly #repeated: Int32Array;
  /** The newest tick that was predicted, or -1. */
  #newest = -1;
  #isActive = false;
  /** The server has dropped the inputs that are later than the newest snapshot. */
  #hasLostInputs = false;
  /** The visible remainder of past errors as of `#errorAt`, in the order of the predictor's `shown`. */
  readonly #error: Float64Array;
  /** The shown values before a correction, in the same order. */
  readonly #before: Float64Array;
  #errorAt = 0;
  /** Snapshots that the prediction was compared with. */
  compared = 0;
  /** Those of them that the prediction was wrong for. */
  corrections = 0;
  /** The values to show, in the order of the predictor's `shown`. Angles may be beyond a full turn. */
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
    this.#actual = new Int32Array(predictor.length);
    this.#next = new Int32Array(predictor.length);
    this.#held = new Int32Array(inputLength);
    this.#repeated = new Int32Array(inputLength);
    this.#error = new Float64Array(predictor.shown.length);
    this.#before = new Float64Array(predictor.shown.length);
    this.values = new Float64Array(predictor.shown.length);
  }

  /** Whether there is a player to show. */
  get isActive(): boolean {
    return this.#isActive && this.#newest >= 0;
  }

  /**
   * Handles a new connection: the server has released all of the player's keys, and dropped the inputs that waited for
   * their ticks. Until the next snapshot, the entity is shown as before.
   */
  restart(): void {
    this.#repeated.fill(0);
    this.#hasLostInputs = true;
  }

  /** Adds an input that was made for `tick`. Ticks that were skipped repeat the previous input, as on the server. */
  push(tick: number, values: ArrayLike<number>): void {
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
    if (this.#isActive) this.predictor.step(this.#states[slot], this.#inputs[slot], this.hz);
    this.#newest = tick;
  }

  /** Compares the prediction for `tick` with its snapshot, and corrects it. */
  reconcile(tick: number, rows: Rows, owner: Int32Array): void {
    const actual = this.#actual;
    const wasActive = this.#isActive;
    const hasLostInputs = this.#hasLostInputs;
    this.#hasLostInputs = false;
    this.#isActive = this.predictor.read(rows, owner, this.seat, actual);
    const newest = this.#newest;
    const slot = tick % KEPT;
    if (hasLostInputs && newest >= 0) {
      this.#keepShown(this.#states[newest % KEPT]);
      this.#ticks[slot] = this.#newest = tick;
      this.#inputs[slot].set(this.#repeated);
      this.#states[slot].set(actual);
      this.#fadeTo(actual, wasActive && this.#isActive);
      return;
    }
    if (!this.#isActive) return;
    const ahead = newest < 0 ? -1 : ticksBetween(tick, newest);
    if (ahead < 0 || ahead >= KEPT || this.#ticks[slot] !== tick) {
      // Nothing was predicted for this tick, so prediction starts again here.
      this.#ticks[slot] = tick;
      // After the newest input, the server repeats it.
      if (ahead < 0) this.#inputs[slot].set(this.#repeated);
      else this.#inputs[slot].fill(0);
      this.#states[slot].set(actual);
      if (ahead < 0) this.#newest = tick;
      else this.#replay(tick);
      this.#error.fill(0);
      return;
    }
    this.compared++;
    const isRight = actual.every((value, i) => value === this.#states[slot][i]);
    if (isRight && wasActive) return;
    if (wasActive) this.corrections++;
    const state = this.#states[newest % KEPT];
    this.#keepShown(state);
    this.#states[slot].set(actual);
    this.#replay(tick);
    this.#fadeTo(state, wasActive);
  }

  /** Keeps the shown values of a state that is about to change. */
  #keepShown(state: Int32Array): void {
    const { shown } = this.predictor;
    for (let n = 0; n < shown.length; n++) this.#before[n] = state[shown[n].at];
  }

  /** Lets the difference between the kept values and this state fade, unless it is a jump. */
  #fadeTo(state: Int32Array, mayFade: boolean): void {
    const { shown } = this.predictor;
    let isJump = !mayFade;
    for (let n = 0; n < shown.length; n++) {
      const off = shortest(this.#before[n] - state[shown[n].at], shown[n]);
      isJump ||= Math.abs(off) > shown[n].jumpFrom;
      this.#error[n] = shortest(this.#error[n] + off, shown[n]);
    }
    if (isJump) this.#error.fill(0);
  }

  /** Replays all inputs after a tick. */
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
   * Puts into `values` what to show `part` (0 to 1) of a tick after the newest input, if `input` is
   * the player's current one: the way to where it would bring the player, so that a key press is
   * visible in the next frame. A value that would jump in the next tick does not move until then.
   */
  show(part: number, input: ArrayLike<number>, now: number): void {
    // A resumed session has made inputs, but none for this prediction yet.
    if (this.#newest < 0) return;
    const passed = Math.max(0, now - this.#errorAt) / 1e6;
    this.#errorAt = now;
    const rest = Math.exp(-FADE_PER_S * passed);
    const newest = this.#states[this.#newest % KEPT];
    const { shown } = this.predictor;
    this.#next.set(newest);
    this.#held.set(input);
    this.predictor.step(this.#next, this.#held, this.hz);
    const near = Math.min(Math.max(part, 0), 1);
    for (let n = 0; n < shown.length; n++) {
      const { at, jumpFrom } = shown[n];
      const way = shortest(this.#next[at] - newest[at], shown[n]);
      this.#error[n] *= rest;
      this.values[n] = newest[at] + this.#error[n] + (Math.abs(way) > jumpFrom ? 0 : way * near);
    }
  }
}

function shortest(way: number, { circle }: Shown): number {
  return circle ? shorterWay(way, circle) : way;
}
