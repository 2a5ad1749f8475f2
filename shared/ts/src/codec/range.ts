/**
 * A range decoder with 15-bit ranges. Raw bits, which are as likely 0 as 1, bypass it: they are read
 * backwards from the end of the body. Missing bytes count as zeros, since an encoder may leave out
 * zero bytes at the end.
 */

import { bucket, bucketBits, FIRST_BUCKET, LONG, sharedFamily, small, TOTAL_BITS } from "./table.js";

/** The first range is 2 to this. Later ranges are at least half of that. */
const RANGE_BITS = 15;
/** Leading zeros, in 32 bits, of a range that needs no shift. */
const SPARE_BITS = 32 - RANGE_BITS;
/** Most raw bits that are read at a time. */
const RAW_BITS_MAX = 16;

export class RangeDecoder {
  #bytes: Uint8Array = new Uint8Array(0);
  #next = 0;
  #range = 0;
  /** The offset (the body's value less the low end of the range), then the next `#ahead` bits of the body. */
  #window = 0;
  #ahead = 0;
  /** Raw bits that were read ahead, and how many. */
  #raw = 0;
  #rawBits = 0;
  /** How many bytes, from the end, raw bits were read from. */
  #rawNext = 0;
  readonly #family = sharedFamily();

  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#range = 1 << RANGE_BITS;
    this.#next = this.#window = this.#raw = this.#rawBits = this.#rawNext = 0;
    this.#ahead = -RANGE_BITS;
    this.#lookAhead();
  }

  /** Decodes a residual with the table that begins at index `table` of the family. */
  number(table: number): number {
    const starts = this.#family;
    const offset = this.#window >>> this.#ahead;
    const range = this.#range;
    let symbol = table;
    let start = 0;
    let end = (range * starts[table + 1]) >>> TOTAL_BITS;
    while (end <= offset) {
      symbol++;
      start = end;
      end = (range * starts[symbol + 1]) >>> TOTAL_BITS;
    }
    this.#narrow(start, end);
    symbol -= table;
    if (symbol < FIRST_BUCKET) return small(symbol);
    if (symbol < LONG) return bucket(symbol, this.raw(bucketBits(symbol) + 1));
    const bits = this.raw(5);
    const negative = this.raw(1) === 1;
    const magnitude = ((1 << bits) | this.raw(bits)) | 0;
    return negative ? -magnitude | 0 : magnitude;
  }

  /** Decodes a yes or no; yes has the likelihood `odds` in 2^14. */
  bit(odds: number): boolean {
    const no = (this.#range * ((1 << TOTAL_BITS) - odds)) >>> TOTAL_BITS;
    const yes = this.#window >>> this.#ahead >= no;
    if (yes) this.#narrow(no, this.#range);
    else this.#narrow(0, no);
    return yes;
  }

  /** Reads `count` raw bits, up to 32. */
  raw(count: number): number {
    if (count > RAW_BITS_MAX) {
      const low = this.raw(RAW_BITS_MAX);
      return (low | (this.raw(count - RAW_BITS_MAX) << RAW_BITS_MAX)) >>> 0;
    }
    while (this.#rawBits < count) {
      this.#rawNext++;
      const byte = this.#rawNext <= this.#bytes.length ? this.#bytes[this.#bytes.length - this.#rawNext] : 0;
      this.#raw |= byte << this.#rawBits;
      this.#rawBits += 8;
    }
    const value = this.#raw & ((1 << count) - 1);
    this.#raw >>>= count;
    this.#rawBits -= count;
    return value;
  }

  /** Whether the body has no superfluous bytes, and no fewer than its raw bits. */
  isFinished(): boolean {
    const length = this.#bytes.length;
    // The bits that moved through the window, and 2 that identify the last range.
    const ranged = 8 * this.#next - this.#ahead - RANGE_BITS + 2;
    const raw = 8 * this.#rawNext - this.#rawBits;
    return length <= Math.ceil((ranged + raw) / 8) && raw <= 8 * length && (raw > 0 || this.#bytes[length - 1] !== 0);
  }

  #narrow(start: number, end: number): void {
    const shift = Math.clz32(end - start) - SPARE_BITS;
    this.#window -= start << this.#ahead;
    this.#range = (end - start) << shift;
    this.#ahead -= shift;
    if (this.#ahead < 0) this.#lookAhead();
  }

  /** Reads bytes until the window is full. */
  #lookAhead(): void {
    while (this.#ahead < 0) {
      const byte = this.#next < this.#bytes.length ? this.#bytes[this.#next] : 0;
      this.#next++;
      this.#window = (this.#window << 8) | byte;
      this.#ahead += 8;
    }
  }
}
