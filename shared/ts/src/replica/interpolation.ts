/**
 * The others, shown a little in the past and in between two snapshots, so that they move evenly
 * however unevenly snapshots arrive. All times in microseconds.
 *
 * How far in the past: the newest snapshot grows older until the next one comes, and things are
 * shown as late as its age stays below almost all the time. The delay follows the network by making
 * shown time run a little slower or faster. When a snapshot fails to come, things are carried on
 * for a moment, and then stand still; that is counted. What is shown never goes back.
 *
 * A page that was kept from its work, or sleeps since nobody sees it, can't tell a network that stalls
 * from itself. When there was neither a snapshot nor a picture for `AWAY`, ages count again from the
 * first snapshot that was due after that: those before it have piled up, or were not sent, since
 * servers send less to those who don't answer.
 */

import { type Clock, ticksBetween } from "../link/clock.js";
import { AWAY, Tail } from "../link/tail.js";
import { Rows } from "../rows.js";
import type { Schema } from "../schema.js";
import { shorterWay } from "./circle.js";

/** Snapshots that are kept: more than are ever between what is shown and what has come. */
const KEPT = 256;
const MASK = KEPT - 1;
/** Change of shown time per time passed. */
const STRETCH = 0.05;
const DELAY_MAX = 1_500_000;
/** One part of so many of the time there may be nothing to go to. */
const BEYOND_ONE_IN = 300;
/** What is added to the age that the newest snapshot almost always stays below. */
const MARGIN = 4_000;
/** How long the newest snapshot is carried on when the next does not come. */
const BEYOND_MAX = 100_000;

/** How a field is shown between two snapshots. */
const enum Blend {
  Older,
  Straight,
  Round,
}

interface Kept {
  tick: number;
  rows: Rows;
}

export class Interpolation {
  readonly #kept: Kept[] = Array.from({ length: KEPT }, () => ({ tick: 0, rows: new Rows() }));
  #count = 0;
  #newest = 0;
  readonly #age = new Tail(BEYOND_ONE_IN);
  /** When this connection's newest snapshot came (NaN before the first), and whether the clock was settled then. */
  #pushedAt = NaN;
  #wasSettled = false;
  /** When there was a snapshot or a picture last. */
  #ranAt = 0;
  /** When there was the first after a while without. */
  #backAt = 0;
  #delay = NaN;
  #shownAt = 0;
  readonly #blends: Uint8Array[];
  /** Steps per tick that no velocity exceeds. */
  readonly #fastest: Float64Array[];
  /** By kind and field: the velocity that carries it, or -1, and what a step of that is in a tick. */
  readonly #rates: Int8Array[];
  readonly #perTick: Float64Array[];
  readonly #circles: Float64Array[];
  #from: Rows | null = null;
  #to: Rows | null = null;
  /** 0 to 1: how far from the older snapshot to the newer. */
  #part = 0;
  /** Ticks between the two. */
  #span = 0;
  #toIndex = 0;
  /** Times that shown time had to wait for a snapshot. */
  starved = 0;
  #isStarving = false;
  #hasShown = false;
  /** Ticks that the newest snapshot is carried on for. */
  #beyond = 0;
  /** What is shown: `ticksBefore` (with parts) before `tick`, or after it where that is carried on. */
  readonly shown = { tick: 0, ticksBefore: 0 };
  /** The values of the row that was looked at last. */
  readonly values = new Float64Array(32);

  constructor(schema: Schema, hz: number) {
    const blendOf = (type: string): Blend => {
      if (type === "linear" || type === "carried") return Blend.Straight;
      return type === "angle" || type === "turned" ? Blend.Round : Blend.Older;
    };
    const kinds = schema.kinds.map((kind) => kind.fields);
    this.#blends = kinds.map((fields) => Uint8Array.from(fields, (field) => blendOf(field.predict.type)));
    this.#circles = kinds.map((fields) => Float64Array.from(fields, ({ min, max }) => max - min + 1));
    this.#rates = kinds.map((fields) =>
      Int8Array.from(fields, ({ predict }) => (predict.type === "carried" ? predict.rate : -1)),
    );
    this.#perTick = kinds.map((fields, kind) =>
      Float64Array.from(fields, ({ step }, i) => {
        const rate = this.#rates[kind][i];
        return rate < 0 ? 0 : fields[rate].step / step / hz;
      }),
    );
    this.#fastest = kinds.map((fields, kind) =>
      Float64Array.from(fields, (_, i) => {
        const rate = fields[this.#rates[kind][i]];
        if (!rate) return Infinity;
        return Math.max(Math.abs(rate.min), Math.abs(rate.max)) * this.#perTick[kind][i];
      }),
    );
  }

  /** How far in the past things are shown, in microseconds; NaN until a second snapshot has come. */
  get delay(): number {
    return this.#delay;
  }

  /** The rows between which things are shown now: the older ones say which there are. */
  get rows(): Rows | null {
    return this.#from;
  }

  /** Takes in a snapshot that arrived `now`. */
  push(tick: number, rows: Rows, clock: Clock, now: number): void {
    this.#run(now);
    this.#hear(clock, now);
    this.#newest = (this.#newest + 1) & MASK;
    this.#count = Math.min(this.#count + 1, KEPT);
    const kept = this.#kept[this.#newest];
    kept.tick = tick;
    kept.rows.copyFrom(rows);
  }

  /** A snapshot has come, and until then the one before it has grown older. */
  #hear(clock: Clock, now: number): void {
    const due = this.#count > 0 ? clock.due(this.#kept[this.#newest].tick, now) + clock.lag(now) : NaN;
    const isSettled = clock.isSettled(now);
    // What was heard while the clock was still being set is not worth keeping.
    if (isSettled && !this.#wasSettled) this.#age.clear();
    if (!Number.isNaN(this.#pushedAt) && due >= this.#backAt) this.#age.hearAge(this.#pushedAt - due, now - due);
    this.#pushedAt = now;
    this.#wasSettled = isSettled;
  }

  /** The connection was lost and there is a new one: the time between was no stall. */
  restart(): void {
    this.#pushedAt = NaN;
  }

  /** Goes on to what is to be shown `now`. Whether there is anything. */
  advance(clock: Clock, now: number): boolean {
    this.#run(now);
    if (this.#count === 0 || !clock.isSet) return false;
    const delay = this.#follow(clock, now);
    const newest = this.#kept[this.#newest];
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

  #run(now: number): void {
    if (now - this.#ranAt > AWAY) this.#backAt = now;
    this.#ranAt = now;
  }

  /** Lets the delay go to where it should be, a little for the time that has passed. */
  #follow(clock: Clock, now: number): number {
    const age = this.#age.value;
    // Nothing is known until a second snapshot has come.
    const late = Number.isNaN(age) ? 2 * clock.interval : age + MARGIN;
    const wanted = Math.min(Math.max(late + clock.lag(now), 0), DELAY_MAX);
    if (Number.isNaN(this.#delay)) {
      if (Number.isNaN(age)) return wanted;
      this.#delay = wanted;
    }
    const most = Math.max(0, now - this.#shownAt) * STRETCH;
    // What stands still may as well wait until there is enough to go on with.
    const mostUp = this.#isStarving ? Infinity : most;
    this.#delay += Math.min(Math.max(wanted - this.#delay, -most), mostUp);
    this.#shownAt = now;
    return this.#delay;
  }

  #show(newest: Kept, ticksBefore: number): void {
    this.#beyond = Math.max(-ticksBefore, 0);
    let before = Math.max(ticksBefore, 0);
    let newer = newest;
    let older = newest;
    for (let n = 1; n < this.#count && before > 0; n++) {
      newer = older;
      older = this.#kept[(this.#newest - n) & MASK];
      if (ticksBetween(older.tick, newest.tick) >= before) break;
    }
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
   * Puts the row at `index` of `rows` into `values`, as it is between both snapshots. To be asked
   * for in ascending order after each `advance`.
   */
  look(index: number): void {
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
    if (this.#beyond > 0) return this.#carry(kind, from.values, start, count);
    this.#blend(kind, from.values, start, to.values, to.start(there), count);
  }

  /** The newest row, carried on by its velocities. */
  #carry(kind: number, from: Int32Array, start: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const rate = this.#rates[kind][i];
      const velocity = rate < 0 ? 0 : from[start + rate] * this.#perTick[kind][i];
      this.values[i] = from[start + i] + velocity * this.#beyond;
    }
  }

  #blend(kind: number, from: Int32Array, start: number, to: Int32Array, toStart: number, count: number): void {
    const blends = this.#blends[kind];
    const fastest = this.#fastest[kind];
    let part = this.#part;
    // What goes further than its velocity can carry it was put there: never show it in between.
    for (let i = 0; i < count; i++) {
      const most = fastest[i] * this.#span + 1;
      if (Math.abs(to[toStart + i] - from[start + i]) > most) part = 0;
    }
    for (let i = 0; i < count; i++) {
      const older = from[start + i];
      let way = to[toStart + i] - older;
      if (blends[i] === Blend.Older) way = 0;
      else if (blends[i] === Blend.Round) way = shorterWay(way, this.#circles[kind][i]);
      this.values[i] = older + way * part;
    }
  }
}
