/**
 * A range decoder on 32-bit integers: bytes into numbers. It takes zeros for bytes that it misses,
 * since an encoder leaves out those that would be zero at the end.
 */

import { bucket, bucketBits, FIRST_BUCKET, LONG, SYMBOLS, sharedFamily, small, TOTAL_BITS } from "./table.js";

/** The range is kept at or above this. */
const RANGE_MIN = 1 << 24;
/** Bits that are taken raw at a time. */
const RAW_BITS_MAX = 16;

export class RangeDecoder {
  #bytes: Uint8Array = new Uint8Array(0);
  #next = 0;
  /** The bytes taken, less the low end of the range. */
  #offset = 0;
  #range = 0;
  readonly #family = sharedFamily();

  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#range = 0xffff_ffff;
    this.#offset = 0;
    for (this.#next = 0; this.#next < 4; this.#next++) {
      this.#offset = ((this.#offset << 8) | (bytes[this.#next] ?? 0)) >>> 0;
    }
  }

  /** A residual, by the table that begins there in the family. */
  number(table: number): number {
    const starts = this.#family;
    const unit = this.#range >>> TOTAL_BITS;
    const point = (this.#offset / unit) >>> 0;
    let symbol = table;
    const last = table + LONG;
    while (symbol < last && starts[symbol + 1] <= point) symbol++;
    this.#narrow(unit, starts[symbol], starts[symbol + 1] - starts[symbol]);
    symbol -= table;
    if (symbol < FIRST_BUCKET) return small(symbol);
    if (symbol < SYMBOLS - 1) return bucket(symbol, this.raw(bucketBits(symbol) + 1));
    const bits = this.raw(5);
    const negative = this.raw(1) === 1;
    const magnitude = ((1 << bits) | this.rawLong(bits)) | 0;
    return negative ? -magnitude | 0 : magnitude;
  }

  /** A yes or no, of which yes has `odds` in 2^14. */
  bit(odds: number): boolean {
    const unit = this.#range >>> TOTAL_BITS;
    const no = (1 << TOTAL_BITS) - odds;
    const yes = this.#offset >= unit * no;
    if (yes) this.#narrow(unit, no, odds);
    else this.#narrow(unit, 0, no);
    return yes;
  }

  /** So many bits as they are, up to 16. */
  raw(count: number): number {
    const unit = this.#range >>> count;
    const value = Math.min((this.#offset / unit) >>> 0, (1 << count) - 1);
    this.#narrow(unit, value, 1);
    return value;
  }

  /** So many bits as they are, up to 32: the low half first. */
  rawLong(count: number): number {
    const low = Math.min(count, RAW_BITS_MAX);
    const value = this.raw(low);
    return count > low ? (value | (this.raw(count - low) << low)) >>> 0 : value;
  }

  /** Whether the bytes are all used, and end where an encoder would have ended them. */
  isFinished(): boolean {
    const bytes = this.#bytes;
    return this.#next >= bytes.length && bytes[bytes.length - 1] !== 0;
  }

  #narrow(unit: number, start: number, size: number): void {
    let offset = this.#offset - unit * start;
    let range = unit * size;
    while (range < RANGE_MIN) {
      const byte = this.#next < this.#bytes.length ? this.#bytes[this.#next] : 0;
      this.#next++;
      offset = ((offset << 8) | byte) >>> 0;
      range = (range << 8) >>> 0;
    }
    this.#offset = offset;
    this.#range = range;
  }
}
