/**
 * A running quantile: the value that a quantity exceeds only for a small part of the time. All
 * values are microseconds.
 *
 * It is read from a histogram of the quantity, weighted by time, in which old samples decay, as in
 * the jitter buffer of WebRTC (NetEq). Jitter is covered within seconds. An occasional stall is
 * not: the time that may lie beyond the value is the agreed part of at least `PATIENCE`. Once
 * stalls have used up that time, hardly any may lie beyond until they are forgotten. An *outlier*,
 * a stall more than six times as long as any recent delay, counts only once another stall at least
 * half as long follows: a single one says nothing about the network.
 *
 * Cells are a millisecond wide at first, and later a sixteenth of their value; within a cell,
 * samples are assumed to be evenly distributed.
 */

/** Recorded time after which all earlier samples lose half of their weight. */
const MEMORY = 300_000_000;
/** Least time from which the part that may lie beyond the value is computed. */
const PATIENCE = 100_000_000;
/** Time beyond the value, at a stretch, from which on it is a stall: a shorter one is hardly visible. */
const STALL_MIN = 50_000;
/** At most one part in this many of the recorded time may lie beyond the value, even at first. */
const FIRST_PART = 64;
/** After too many stalls, the time that may lie beyond shrinks to one part in this many of itself. */
const STRICTEST = 16;
/** A stall is an outlier if it is more than this many times as long as any recent delay. */
const OUTLIER = 6;
/**
 * A program that did not run for longer than this can't tell the network's lateness from its own.
 * No program renders this slowly on purpose.
 */
export const AWAY = 150_000;
/** Larger values count as this one: 2 s. */
const VALUE_MAX = 2_047_999;
/** Width of the first cells. */
const UNIT = 1_000;
/** Cells per octave. */
const STEPS = 16;
const CELLS = 128;

export class Tail {
  /** NaN before the first sample. */
  value = NaN;
  /** For how long the quantity was in each cell. */
  readonly #cells = new Float64Array(CELLS);
  #total = 0;
  /** Time beyond the value in stalls. */
  #stalled = 0;
  /** The largest recent value. */
  #largest = 0;
  /** Where the last outlier began and ended, while it does not count. */
  #outlierFrom = 0;
  #outlierTo = 0;
  /** How much of the growth after it still belongs to it. */
  #aftermath = 0;

  /** The quantity may exceed the value for one part in `part` of the time. */
  constructor(readonly part: number) {}

  /** Records that the quantity was `value` for `span`. */
  record(value: number, span: number): void {
    this.#add(cellOf(value), span);
    this.#settle(value > this.value ? span : 0);
  }

  /**
   * Records that the quantity sank from one value to just above another, in steps of `step` that
   * each lasted as long.
   */
  recordSteps(from: number, to: number, step: number): void {
    if (this.#holdBack(to, from)) return;
    let beyond = 0;
    for (let value = from; value > to; value -= step) {
      this.#add(cellOf(value), step);
      if (value > this.value) beyond += step;
    }
    this.#settle(beyond);
  }

  /**
   * Records that the quantity grew with time from one value to another, as an age does. Growth
   * beyond `VALUE_MAX` is ignored: it is a lost connection, not a stalled network.
   */
  recordAge(from: number, to: number): void {
    if (to > VALUE_MAX) return;
    const [low, high] = [Math.max(from, 0), Math.max(to, 0)];
    // Snapshots that waited arrive at once, and then comes a gap: the server skips some while too
    // many are in flight.
    if (!(low > this.value)) this.#aftermath = 0;
    else if (this.#aftermath > 0) {
      this.#aftermath -= high - low;
      return;
    }
    if (!this.#holdBack(low, high)) this.#addGrowth(low, high);
  }

  /** Discards all samples. */
  clear(): void {
    this.#cells.fill(0);
    this.#total = this.#stalled = 0;
    this.#largest = this.#outlierFrom = this.#outlierTo = this.#aftermath = 0;
    this.value = NaN;
  }

  /**
   * Holds a growth back if it is an outlier, and records the one that was held back if this one
   * confirms it. Returns whether this one was held back.
   */
  #holdBack(from: number, to: number): boolean {
    const isStall = this.#beyond(from, to) > STALL_MIN;
    const isOutlier = isStall && to > OUTLIER * this.#largest;
    this.#aftermath = isOutlier ? to : 0;
    this.#largest = Math.max(this.#largest, to);
    if (isStall && 2 * to >= this.#outlierTo) {
      this.#addGrowth(this.#outlierFrom, this.#outlierTo);
      this.#outlierFrom = isOutlier ? from : 0;
      this.#outlierTo = isOutlier ? to : 0;
    }
    return isOutlier;
  }

  #addGrowth(from: number, to: number): void {
    for (let cell = cellOf(from); cell <= cellOf(to); cell++) {
      this.#add(cell, Math.max(Math.min(to, end(cell)) - Math.max(from, start(cell)), 0));
    }
    this.#settle(this.#beyond(from, to));
  }

  /** How much of a growth lies beyond the value. */
  #beyond(from: number, to: number): number {
    return Math.max(to - Math.max(from, this.value), 0);
  }

  #add(cell: number, span: number): void {
    this.#cells[cell] += span;
    this.#total += span;
  }

  /** Computes the new value, after samples that were beyond the old one for `beyond` in all. */
  #settle(beyond: number): void {
    if (beyond > STALL_MIN) this.#stalled += beyond;
    if (this.#total > MEMORY) {
      for (let i = 0; i < CELLS; i++) this.#cells[i] /= 2;
      this.#total /= 2;
      this.#stalled /= 2;
      this.#largest /= 2;
      this.#outlierFrom = this.#outlierTo = 0;
    }
    const part = Math.max(this.#total, PATIENCE) / this.part;
    const excess = Math.max(this.#stalled - 1.2 * part, 0);
    const left = Math.max(part - 4 * excess, part / STRICTEST);
    let rest = Math.min(left, this.#total / FIRST_PART);
    for (let cell = CELLS - 1; cell >= 0; cell--) {
      const micros = this.#cells[cell];
      if (micros > rest) {
        // Rounded up, or a quantity of exactly this value might count as beyond it.
        this.value = end(cell) - Math.floor(((end(cell) - start(cell)) * rest) / micros);
        return;
      }
      rest -= micros;
    }
  }
}

function cellOf(value: number): number {
  const units = Math.floor(Math.min(Math.max(value, 0), VALUE_MAX) / UNIT);
  const octave = 27 - Math.clz32(Math.max(units, STEPS));
  return octave * STEPS + (units >> octave);
}

/** Where a cell begins. */
function start(cell: number): number {
  const octave = Math.max((cell >> 4) - 1, 0);
  return ((cell - octave * STEPS) << octave) * UNIT;
}

/** Where it ends. */
function end(cell: number): number {
  const octave = Math.max((cell >> 4) - 1, 0);
  return ((cell - octave * STEPS + 1) << octave) * UNIT;
}
