/**
 * The value that a quantity stays below for all but a small part of the time, learnt as it goes.
 * All values are microseconds.
 *
 * A histogram of the quantity, weighted by time, of which the past is forgotten by and by: the
 * jitter buffers of calls work like this (WebRTC's NetEq). What jitters is covered within seconds; a
 * stall now and then is not, since the part that may lie beyond is one of 100 s at least; and when
 * there were so many stalls that it is used up, hardly anything may lie beyond until they are
 * forgotten. A stall of more than six times what there was of late counts when another comes that is
 * half as long: one alone is no habit of the network.
 *
 * Cells are a millisecond wide at first and a sixteenth of their value later; what lies within one
 * is taken to lie evenly.
 */

/** Time until half of what was heard is forgotten. */
const MEMORY = 300_000_000;
/** Time that the part which may lie beyond is reckoned from at least. */
const PATIENCE = 100_000_000;
/** What lies beyond for longer than this is a stall: shorter ones are hardly seen. */
const STALL_MIN = 50_000;
/** When there were few stalls yet, one part of so many of what was heard may lie beyond at most. */
const FIRST_PART = 64;
/** When there were too many, one part of so many of what otherwise may. */
const STRICTEST = 16;
/**
 * A program that did not get to its work for longer than this can't tell how late the network is from
 * how late it is itself. As slow as this nobody draws on purpose.
 */
export const AWAY = 150_000;
/** Larger values count as this: 2 s. */
const VALUE_MAX = 2_047_999;
/** Width of the first cells. */
const UNIT = 1_000;
/** Cells that an octave is divided into. */
const STEPS = 16;
const CELLS = 128;

export class Tail {
  /** NaN before anything was heard. */
  value = NaN;
  /** For how long the quantity was in each cell. */
  readonly #cells = new Float64Array(CELLS);
  #total = 0;
  /** For how long it was beyond the value in stalls. */
  #stalled = 0;
  /** How far the longest stall of late went. */
  #longest = 0;
  /** From where to where one went that does not count yet. */
  #aloneFrom = 0;
  #aloneTo = 0;
  /** How much of what follows it may still be its end. */
  #end = 0;

  /** One part of so many of the time the value may be larger. */
  constructor(readonly part: number) {}

  /** The quantity was `value` for `span`. */
  hear(value: number, span: number): void {
    this.#add(cellOf(value), span);
    this.#settle(value > this.value ? span : 0);
  }

  /** The quantity sank from `value` to just above `to`, and was each step on the way for `step`. */
  hearSteps(value: number, to: number, step: number): void {
    if (this.#isAlone(to, value)) return;
    let beyond = 0;
    for (; value > to; value -= step) {
      this.#add(cellOf(value), step);
      if (value > this.value) beyond += step;
    }
    this.#settle(beyond);
  }

  /**
   * The quantity grew from one value to another as time went by, as an age does. What grows beyond
   * 2 s is ignored: no network stalls like that, a connection is lost.
   */
  hearAge(from: number, to: number): void {
    if (to > VALUE_MAX) return;
    const [low, high] = [Math.max(from, 0), Math.max(to, 0)];
    // Behind a stall comes what waited, and then a gap: a server sends nothing while too much waits.
    if (!(low > this.value)) this.#end = 0;
    else if (this.#end > 0) {
      this.#end -= high - low;
      return;
    }
    if (!this.#isAlone(low, high)) this.#grow(low, high);
  }

  /** Forgets everything. */
  clear(): void {
    this.#cells.fill(0);
    this.#total = this.#stalled = 0;
    this.#longest = this.#aloneFrom = this.#aloneTo = this.#end = 0;
    this.value = NaN;
  }

  /** Whether that was a stall such as there was none of late. */
  #isAlone(from: number, to: number): boolean {
    const isStall = this.#beyond(from, to) > STALL_MIN;
    const isAlone = isStall && to > 6 * this.#longest;
    this.#end = isAlone ? to : 0;
    this.#longest = Math.max(this.#longest, to);
    if (isStall && 2 * to >= this.#aloneTo) {
      this.#grow(this.#aloneFrom, this.#aloneTo);
      this.#aloneFrom = isAlone ? from : 0;
      this.#aloneTo = isAlone ? to : 0;
    }
    return isAlone;
  }

  #grow(from: number, to: number): void {
    for (let cell = cellOf(from); cell <= cellOf(to); cell++) {
      this.#add(cell, Math.max(Math.min(to, end(cell)) - Math.max(from, start(cell)), 0));
    }
    this.#settle(this.#beyond(from, to));
  }

  /** How much of the way from one value to another lies beyond what is known. */
  #beyond(from: number, to: number): number {
    return Math.max(to - Math.max(from, this.value), 0);
  }

  #add(cell: number, span: number): void {
    this.#cells[cell] += span;
    this.#total += span;
  }

  /** Finds the value, after one that was beyond the last for so long. */
  #settle(beyond: number): void {
    if (beyond > STALL_MIN) this.#stalled += beyond;
    if (this.#total > MEMORY) {
      for (let i = 0; i < CELLS; i++) this.#cells[i] /= 2;
      this.#total /= 2;
      this.#stalled /= 2;
      this.#longest /= 2;
      this.#aloneFrom = this.#aloneTo = 0;
    }
    const part = Math.max(this.#total, PATIENCE) / this.part;
    const excess = Math.max(this.#stalled - 1.2 * part, 0);
    const left = Math.max(part - 4 * excess, part / STRICTEST);
    let rest = Math.min(left, this.#total / FIRST_PART);
    for (let cell = CELLS - 1; cell >= 0; cell--) {
      const micros = this.#cells[cell];
      if (micros > rest) {
        // Whole, or what is exactly as long might be taken for longer.
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
