/**
 * Interpolation of other entities: a little in the past, between two snapshots. All times in
 * microseconds.
 *
 * The interpolation delay adapts to the network. Until the next snapshot arrives, the newest one
 * ages; with a delay above that age there is always a later snapshot to interpolate to. The delay
 * is the age that a `Tail` finds to be exceeded only rarely. It changes smoothly, by `STRETCH` of
 * the time passed. When a snapshot is missing all the same, the newest is extrapolated for
 * `BEYOND_MAX`, and then stands still; `starved` counts this. The moment that is shown never goes
 * back.
 *
 * A page that was busy, or suspended because it is in the background, can't tell a stalled network
 * from its own pause. So after a time of `AWAY` without a snapshot or a rendered frame, ages count
 * again only from the first snapshot that is due after that: earlier ones have piled up, or were not
 * sent, since servers send less to clients that don't acknowledge.
 */

import { between, OTHERS, unpackQuaternion } from "../codec/turn.js";
import { type Clock, ticksBetween } from "../link/clock.js";
import { AWAY, Tail } from "../link/tail.js";
import { Rows } from "../rows.js";
import type { Field, Predict, Schema } from "../schema.js";
import { shorterWay, wrapped } from "./circle.js";

/** Most snapshots that are kept: more than are ever between the shown moment and the newest. */
const KEPT_MAX = 256;
/** Most snapshots that are no longer needed whose memory is kept for reuse. */
const SPARE_MAX = 8;
/** Largest change of the delay, as a part of the time passed. */
const STRETCH = 0.05;
/** Largest delay: with longer stalls no game is playable. */
const DELAY_MAX = 1_500_000;
/** For one part in this many of the time there may be no snapshot to interpolate to. */
const BEYOND_ONE_IN = 300;
/** Added to the age that the newest snapshot rarely exceeds. */
const MARGIN = 4_000;
/** How long the newest snapshot is extrapolated when the next one does not arrive. */
const BEYOND_MAX = 100_000;

/** How a field is shown between two snapshots. */
const enum Blend {
  /** With its older value. */
  Older,
  /** Interpolated linearly. */
  Linear,
  /** Interpolated along the shorter way round the circle. */
  Angle,
  /** The first of the four fields of a quaternion, which is interpolated along the shorter way. */
  Quaternion,
  /** One of the other three. */
  Component,
}

/** What it takes to show a field of a kind. */
interface Shape {
  blend: Blend;
  min: number;
  /** How many values its range has: for an angle, steps of a full turn. */
  circle: number;
  step: number;
  /** The index of the field that is its velocity, or -1. */
  rate: number;
  /** How many steps one step of its velocity moves it in a tick. */
  perTick: number;
  /** The most steps per tick that its velocity's range allows; Infinity without a velocity. */
  fastest: number;
}

interface Kept {
  tick: number;
  rows: Rows;
}

export class Interpolation {
  /** Oldest first; the first is the newest that is not after the shown moment. */
  readonly #kept: Kept[] = [];
  readonly #spare: Kept[] = [];
  readonly #age = new Tail(BEYOND_ONE_IN);
  /** When the newest snapshot of this connection arrived; NaN before the first. */
  #pushedAt = NaN;
  /** Whether the clock was settled at the last snapshot. */
  #wasSettled = false;
  /** When the page last handled a snapshot or rendered a frame. */
  #ranAt = 0;
  /** When it did so for the first time after its last pause. */
  #backAt = 0;
  #delay = NaN;
  #shownAt = 0;
  /** By kind and field. */
  readonly #shapes: Shape[][];
  #from: Rows | null = null;
  #to: Rows | null = null;
  /** 0 to 1: how far the shown moment is from the older snapshot to the newer. */
  #part = 0;
  /** Ticks between the two. */
  #span = 0;
  #toIndex = 0;
  /** How many times there was no snapshot to interpolate to, because the next one was late. */
  starved = 0;
  #isStarving = false;
  #hasShown = false;
  /** Ticks for which the newest snapshot is extrapolated. */
  #beyond = 0;
  /** The shown moment: `ticksBefore` (with fraction) before `tick`; negative when extrapolating. */
  readonly shown = { tick: 0, ticksBefore: 0 };
  /** The shown values of the row that `interpolate` was called for last; an angle's is from `min` to below `max + 1`. */
  readonly values = new Float64Array(32);

  constructor(schema: Schema, hz: number) {
    this.#shapes = schema.kinds.map(({ fields }) => fields.map((field) => shapeOf(field, fields, hz)));
  }

  /** The interpolation delay behind the server's clock, in microseconds; NaN until a second snapshot has arrived. */
  get delay(): number {
    return this.#delay;
  }

  /** The rows of the older of the two snapshots. They say which entities there are to show. */
  get rows(): Rows | null {
    return this.#from;
  }

  /** Adds the snapshot of `tick`, which was applied `now`. */
  push(tick: number, rows: Rows, clock: Clock, now: number): void {
    this.#noteActivity(now);
    this.#recordAge(clock, now);
    if (this.#kept.length === KEPT_MAX) this.#drop(1);
    const kept = this.#spare.pop() ?? { tick: 0, rows: new Rows() };
    kept.tick = tick;
    kept.rows.copyFrom(rows);
    this.#kept.push(kept);
  }

  /** Drops the oldest snapshots. */
  #drop(count: number): void {
    for (let left = count; left > 0; left--) {
      const oldest = this.#kept.shift()!;
      if (this.#spare.length < SPARE_MAX) this.#spare.push(oldest);
    }
  }

  /** Records how old the newest snapshot has got by the time that the next one arrives. */
  #recordAge(clock: Clock, now: number): void {
    const newest = this.#kept.at(-1);
    const due = newest ? clock.due(newest.tick, now) + clock.lag(now) : NaN;
    const isSettled = clock.isSettled(now);
    // Ages measured before the clock has settled are not reliable.
    if (isSettled && !this.#wasSettled) this.#age.clear();
    const isKnown = clock.isCurrent && !Number.isNaN(this.#pushedAt);
    if (isKnown && due >= this.#backAt) this.#age.recordAge(this.#pushedAt - due, now - due);
    this.#pushedAt = now;
    this.#wasSettled = isSettled;
  }

  /** Handles a new connection: the time without one does not count as a stall. */
  restart(): void {
    this.#pushedAt = NaN;
  }

  /** Moves on to the moment to show `now`. Returns whether there is anything to show. */
  advance(clock: Clock, now: number): boolean {
    this.#noteActivity(now);
    const newest = this.#kept.at(-1);
    if (!newest || !clock.isSet) return false;
    const delay = this.#adjustDelay(clock, now);
    // How far before the newest snapshot.
    const before = -clock.ticksSince(newest.tick, now - delay, now);
    const isStarving = before < 0;
    if (isStarving && !this.#isStarving) this.starved++;
    this.#isStarving = isStarving;
    const wanted = Math.max(before, -BEYOND_MAX / clock.interval);
    const earlier = ticksBetween(this.shown.tick, newest.tick) + this.shown.ticksBefore;
    this.#show(newest, this.#hasShown ? Math.min(wanted, earlier) : wanted);
    this.#hasShown = true;
    return true;
  }

  /** Detects a pause of the page. */
  #noteActivity(now: number): void {
    if (now - this.#ranAt > AWAY) this.#backAt = now;
    this.#ranAt = now;
  }

  /** Moves the delay towards its target, and returns it. */
  #adjustDelay(clock: Clock, now: number): number {
    const age = this.#age.value;
    // No age is known until a second snapshot has arrived.
    const late = Number.isNaN(age) ? 2 * clock.interval : age + MARGIN;
    const wanted = Math.min(Math.max(late + clock.lag(now), 0), DELAY_MAX);
    if (Number.isNaN(this.#delay)) {
      if (Number.isNaN(age)) return wanted;
      this.#delay = wanted;
    }
    const most = Math.max(0, now - this.#shownAt) * STRETCH;
    // Entities that stand still already can wait until the delay is long enough.
    const mostUp = this.#isStarving ? Infinity : most;
    this.#delay += Math.min(Math.max(wanted - this.#delay, -most), mostUp);
    this.#shownAt = now;
    return this.#delay;
  }

  #show(newest: Kept, ticksBefore: number): void {
    this.#beyond = Math.max(-ticksBefore, 0);
    let before = Math.max(ticksBefore, 0);
    let index = this.#kept.length - 1;
    while (index > 0 && ticksBetween(this.#kept[index].tick, newest.tick) < before) index--;
    this.#drop(index);
    const older = this.#kept[0];
    const newer = before > 0 ? (this.#kept[1] ?? older) : older;
    const oldest = ticksBetween(older.tick, newest.tick);
    before = Math.min(before, oldest);
    const span = ticksBetween(older.tick, newer.tick);
    this.#from = older.rows;
    this.#to = newer.rows;
    this.#span = span;
    this.#part = span > 0 ? (oldest - before) / span : 0;
    this.#toIndex = 0;
    this.shown.tick = newest.tick;
    this.shown.ticksBefore = before - this.#beyond;
  }

  /**
   * Puts the row at `index` of `rows` into `values`, as it is at the shown moment. Call this in
   * ascending order of `index` after each `advance`.
   */
  interpolate(index: number): void {
    const from = this.#from;
    const to = this.#to;
    if (!from || !to) return;
    const id = from.ids[index];
    const kind = from.kinds[index];
    const start = from.start(index);
    const count = from.ends[index] - start;
    if (index === 0) this.#toIndex = 0;
    while (this.#toIndex < to.length && to.ids[this.#toIndex] < id) this.#toIndex++;
    const there = this.#toIndex;
    if (there >= to.length || to.ids[there] !== id || to.kinds[there] !== kind) {
      for (let i = 0; i < count; i++) this.values[i] = from.values[start + i];
      return;
    }
    if (this.#beyond > 0) return this.#extrapolate(this.#shapes[kind], from.values, start);
    this.#blend(this.#shapes[kind], from.values, start, to.values, to.start(there));
  }

  /** Extrapolates the newest row by its velocities. */
  #extrapolate(shapes: readonly Shape[], from: Int32Array, start: number): void {
    for (let i = 0; i < shapes.length; i++) {
      const { rate, perTick } = shapes[i];
      const velocity = rate < 0 ? 0 : from[start + rate] * perTick;
      this.values[i] = from[start + i] + velocity * this.#beyond;
    }
  }

  #blend(shapes: readonly Shape[], from: Int32Array, start: number, to: Int32Array, toStart: number): void {
    let part = this.#part;
    // An entity that moved further than its velocity allows was teleported: never show it in between.
    for (let i = 0; i < shapes.length; i++) {
      const most = shapes[i].fastest * this.#span + 1;
      if (Math.abs(to[toStart + i] - from[start + i]) > most) part = 0;
    }
    for (let i = 0; i < shapes.length; i++) {
      const { blend, min, circle } = shapes[i];
      if (blend === Blend.Component) continue;
      const older = from[start + i];
      const way = to[toStart + i] - older;
      if (blend === Blend.Quaternion) this.#turn(i, shapes[i + 1].step, from, start + i, to, toStart + i, part);
      if (blend === Blend.Angle) this.values[i] = wrapped(older + shorterWay(way, circle) * part, min, circle);
      else this.values[i] = blend === Blend.Linear ? older + way * part : older;
    }
  }

  /**
   * Interpolates the components of the quaternion at field `i`. They are those that the older row has, even if another
   * component is the largest by now.
   */
  #turn(i: number, perStep: number, from: Int32Array, at: number, to: Int32Array, toAt: number, part: number): void {
    const older = unpackQuaternion(from[at], [from[at + 1], from[at + 2], from[at + 3]], perStep);
    const newer = unpackQuaternion(to[toAt], [to[toAt + 1], to[toAt + 2], to[toAt + 3]], perStep);
    const shown = between(older, newer, part);
    // The largest one is never negative, and both signs are the same rotation.
    const sign = shown[from[at] & 3] < 0 ? -1 : 1;
    OTHERS[from[at] & 3].forEach((place, n) => (this.values[i + 1 + n] = (sign * shown[place]) / perStep));
  }
}

function shapeOf({ predict, min, max, step }: Field, fields: readonly Field[], hz: number): Shape {
  const rate = predict.type === "carried" ? predict.rate : -1;
  const shape = { blend: blendOf(predict.type), min, circle: max - min + 1, step, rate, perTick: 0, fastest: Infinity };
  if (rate < 0) return shape;
  const velocity = fields[rate];
  const perTick = velocity.step / step / hz;
  return { ...shape, perTick, fastest: Math.max(Math.abs(velocity.min), Math.abs(velocity.max)) * perTick };
}

function blendOf(type: Predict["type"]): Blend {
  if (type === "linear" || type === "carried") return Blend.Linear;
  if (type === "quaternion") return Blend.Quaternion;
  if (type === "component") return Blend.Component;
  return type === "angle" || type === "turned" ? Blend.Angle : Blend.Older;
}
